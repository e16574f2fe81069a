"""Keep a usable index: rebuild it when it is missing or not trusted, and clean up after killed rebuilds."""

import asyncio
from contextlib import suppress

import structlog

from core.errors import BACKEND_ERRORS
from core.retries import retry_forever
from core.settings import Settings
from indexer.backends import Backends
from indexer.errors import IndexerError, ReindexRunningError
from indexer.index import admin, targets
from indexer.index.reconcile import IndexProblem, find_problem, rebuild_connection, reconcile
from indexer.index.targets import TargetState
from indexer.rebuild.reindex import reindex

log = structlog.get_logger()

CHECK_SECONDS = 30.0
MIN_INTERVAL_SECONDS = 2.0
"""Shortest time between two checks, however many are requested."""
FIRST_RETRY_SECONDS = 4.0
LONGEST_RETRY_SECONDS = 300.0
"""Pauses after failed checks. The longest is long: reindexes that fail again and again must not occupy the servers."""


class IndexSupervisor:
    def __init__(
        self, settings: Settings, backends: Backends, *, min_interval_seconds: float = MIN_INTERVAL_SECONDS
    ) -> None:
        self._settings = settings
        self._backends = backends
        self._min_interval_seconds = min_interval_seconds
        self._check_requested = asyncio.Event()
        self._reindex_requested = False
        self._just_started = True

    def request_check(self) -> None:
        """Make the next check due now."""
        self._check_requested.set()

    def request_reindex(self) -> None:
        """Make a reindex due now, whatever the state of the index."""
        self._reindex_requested = True
        self._check_requested.set()

    async def run(self) -> None:
        """Check periodically and on request, until cancelled."""
        retrying = retry_forever(
            (IndexerError, *BACKEND_ERRORS),
            first=FIRST_RETRY_SECONDS,
            longest=LONGEST_RETRY_SECONDS,
            on_failure=_log_failure,
        )
        while True:
            await retrying(self._check_now)
            await asyncio.sleep(self._min_interval_seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._check_requested.wait(), CHECK_SECONDS)

    async def _check_now(self) -> None:
        self._check_requested.clear()
        await self.check()

    async def check(self) -> None:
        """Reindex if it was requested or the index has a problem; otherwise clean up after killed rebuilds."""
        problem = await find_problem(self._backends)
        if problem is IndexProblem.OTHER_DOCUMENTS and not self._just_started:
            # A newer version of this program has activated its index and will replace this process.
            problem = None
        try:
            if problem or self._reindex_requested:
                log.warning("index_rebuilt", because=problem or "it was asked for")
                await reindex(self._settings, lambda progress: None)
                self._reindex_requested = False
            elif await self._has_leftovers():
                async with rebuild_connection(self._settings) as connection:
                    await reconcile(connection, self._backends)
        except ReindexRunningError:
            # Another process is rebuilding. If it fails, a later check of this one takes over.
            return
        self._just_started = False

    async def _has_leftovers(self) -> bool:
        """Return whether Postgres and the alias disagree, as after a killed rebuild or rollback.

        They also do while one is running; `rebuild_connection` then raises.
        """
        live = await admin.live_index(self._backends.elasticsearch, self._backends.alias)
        async with self._backends.postgres.connect() as connection:
            known = await targets.read_targets(connection)
        return any(t.state is TargetState.BUILDING or (t.state is TargetState.LIVE) != (t.name == live) for t in known)


def _log_failure(error: BaseException, retry_after: float) -> None:
    log.warning("index_check_failed", error=type(error).__name__, message=str(error)[:300])
