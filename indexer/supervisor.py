"""Keep a usable index: rebuild it when it is missing or not trusted, and clean up after killed rebuilds."""

import asyncio
import time
from contextlib import suppress

import structlog

from core.configuration.settings import Settings
from core.errors import BACKEND_ERRORS
from core.metrics.labels import with_values
from core.tracing import spans
from indexer import metrics
from indexer.backends import Backends
from indexer.errors import IndexerError, ReindexRunningError
from indexer.index import admin
from indexer.index.closed_indices import open_closed
from indexer.index.ownership import claim
from indexer.index.reconcile import (
    IndexProblem,
    find_problem,
    has_leftovers,
    rebuild_connection,
    reconcile,
    restore_alias,
    servers_work,
)
from indexer.rebuild.reindex import reindex

log = structlog.get_logger()

CHECK_SECONDS = 30.0
MIN_INTERVAL_SECONDS = 2.0
"""Shortest time between two checks, however many are requested."""
FIRST_RETRY_SECONDS = 4.0
LONGEST_RETRY_SECONDS = 300.0
"""Pauses after failed checks. The longest is long: reindexes that fail again and again must not occupy the servers."""
PROBE_SECONDS = 2.0
"""Pause between two probes, during a back-off, of whether the servers work."""

with_values(metrics.REBUILDS, [metrics.REQUESTED, *(problem.name.lower() for problem in IndexProblem)])


class IndexSupervisor:
    def __init__(
        self, settings: Settings, backends: Backends, *, min_interval_seconds: float = MIN_INTERVAL_SECONDS
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._min_interval_seconds = min_interval_seconds
        self._check_requested = asyncio.Event()
        self._reindex_requested = False
        self._reindex_trace = ""
        """Trace of the request for a reindex; empty if it is not recorded."""
        self._back_off_over = asyncio.Event()
        self._failures = 0
        """Failed checks since the last one that succeeded."""
        self._reported_shards: int | None = None

    def request_check(self) -> None:
        """Make the next check due now."""
        self._check_requested.set()

    def request_reindex(self) -> None:
        """Make a reindex due now, whatever the state of the index and however many have failed."""
        self._reindex_requested = True
        self._reindex_trace = spans.current_trace()
        self._back_off_over.set()
        self._check_requested.set()

    async def run(self) -> None:
        """Check periodically and on request, until cancelled."""
        while True:
            try:
                await self._check_now()
            except (IndexerError, *BACKEND_ERRORS) as error:
                log.warning("index_check_failed", error=type(error).__name__, message=str(error)[:300])
                await self._back_off()
            else:
                self._failures = 0
                await asyncio.sleep(self._min_interval_seconds)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._check_requested.wait(), CHECK_SECONDS)

    async def _check_now(self) -> None:
        self._check_requested.clear()
        self._back_off_over.clear()
        await self.check()

    async def _back_off(self) -> None:
        """Wait after a failed check, longer each time, but not once servers that were down work or a reindex is due."""
        pause = min(FIRST_RETRY_SECONDS * 2 ** min(self._failures, 10), LONGEST_RETRY_SECONDS)
        self._failures += 1
        deadline = time.monotonic() + pause
        was_down = False
        while True:
            is_down = not await servers_work(self._settings, self._backends)
            if not is_down and (was_down or time.monotonic() >= deadline):
                return
            was_down |= is_down
            with suppress(TimeoutError):
                left = PROBE_SECONDS if is_down else min(PROBE_SECONDS, deadline - time.monotonic())
                await asyncio.wait_for(self._back_off_over.wait(), left)
                return

    async def check(self) -> None:
        """Reindex if it was requested or the index has a problem; otherwise clean up after killed rebuilds."""
        await claim(self._backends)
        await open_closed(self._backends.elasticsearch, self._backends.alias)
        try:
            problem = await find_problem(self._backends)
            if problem is IndexProblem.NO_INDEX and await self._restore():
                problem = await find_problem(self._backends)
            if self._reindex_requested or problem:
                await self._rebuild(problem)
            elif await has_leftovers(self._backends):
                async with rebuild_connection(self._settings) as connection:
                    await reconcile(connection, self._backends)
        except ReindexRunningError:
            # Another process is rebuilding. If it fails, a later check of this one takes over.
            return
        if self._settings.elasticsearch_replicas is not None:
            await admin.set_replicas(
                self._backends.elasticsearch, self._backends.alias, self._settings.elasticsearch_replicas
            )
        await self._compare_shards()

    async def _compare_shards(self) -> None:
        """Log, once for each index, that the setting of shards holds for the next index only."""
        wanted = self._settings.elasticsearch_shards
        found = await admin.number_of_shards(self._backends.elasticsearch, self._backends.alias)
        if found not in (wanted, self._reported_shards):
            log.warning("index_shards_differ", shards=found, setting=wanted, hint="they change with the next reindex")
        self._reported_shards = found

    async def _restore(self) -> bool:
        """Give the alias back to an index that lost it, if one is as good as a new one; return whether it was."""
        async with rebuild_connection(self._settings) as connection:
            return await restore_alias(connection, self._backends) is not None

    async def _rebuild(self, problem: IndexProblem | None) -> None:
        # A rebuild that is refused, or that another worker runs, does not begin here and does not count.
        async with rebuild_connection(self._settings):
            log.warning("index_rebuilt", because=problem or "it was asked for")
            metrics.REBUILDS.labels(problem.name.lower() if problem else metrics.REQUESTED).inc()
        trace = self._reindex_trace
        with spans.follow("reindex", [trace]) if trace else spans.begin("reindex"):
            await reindex(self._settings, lambda progress: None)
        self._reindex_requested, self._reindex_trace = False, ""
