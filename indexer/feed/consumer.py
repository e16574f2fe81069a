"""Follows the outbox: batch after batch while there is something to do, then it looks again and again."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from core.errors import BACKEND_ERRORS
from indexer import metrics
from indexer.backends import Backends
from indexer.errors import IndexNotWritableError
from indexer.feed.batch import BatchResult, BatchStalled, process_batch
from indexer.feed.notifier import ChangeNotifier
from indexer.index import outbox
from indexer.index.outbox import CAUSES, LANES

log = structlog.get_logger()

POLL_SECONDS = 0.25
"""How long a change may wait unnoticed: writers notify nobody, it would make their commits wait for each other."""
FIRST_PAUSE_SECONDS = 0.25
LAST_PAUSE_SECONDS = 5.0
UNTRUSTED_SECONDS = 1.0
"""The longest pause while there is no index to write to: caches are to know of changes all the same."""


class OutboxConsumer:
    """Of one lane: what is slow in the others holds nothing up."""

    def __init__(self, stores: Backends, lane: int, announcer: ChangeNotifier, doubt: Callable[[], None]) -> None:
        """`doubt` is called when the index may be missing, or Postgres may not be the one it was."""
        self._stores = stores
        self._lane = lane
        self._announcer = announcer
        self._doubt = doubt
        self._stopped = asyncio.Event()
        self._failures = 0
        self._retry_at = 0.0
        self._told: Mapping[str, tuple[int, int]] = {}
        """Causes that wait for an index and that caches know of."""
        self.progressed_at = time.monotonic()
        """When something was done last, or nothing was left to do."""

    def stop(self) -> None:
        """`run` ends after the batch in hand."""
        self._stopped.set()

    async def run(self) -> None:
        while not self._stopped.is_set():
            pause = await self._drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), pause)

    async def _drain(self) -> float:
        """Until nothing is left or something fails; answers the seconds until it is worth another look."""
        while not self._stopped.is_set():
            retry = time.monotonic() >= self._retry_at
            started = time.monotonic()
            try:
                batch = await process_batch(self._stores, [self._lane], retry=retry)
            except IndexNotWritableError as error:
                pause = self._back_off(error)
                if self._lane == CAUSES:
                    await self._tell_of_causes()
                return min(pause, UNTRUSTED_SECONDS)
            except (BatchStalled, *BACKEND_ERRORS) as error:
                return self._back_off(error)
            self._note(batch, time.monotonic() - started, retry=retry)
            if batch.failed:
                return self._until_retry()
            if not batch.claimed:
                return min(POLL_SECONDS, self._until_retry()) if self._failures else POLL_SECONDS
        return 0.0

    def _back_off(self, error: Exception) -> float:
        metrics.ERRORS.labels(type(error).__name__).inc()
        log.warning("batch_failed", error=type(error).__name__, message=str(error)[:300])
        self._doubt()
        self._count_failure()
        return self._until_retry()

    async def _tell_of_causes(self) -> None:
        """Caches read from Postgres, and don't wait until there is an index that can be written to."""
        try:
            async with self._stores.postgres.connect() as connection:
                waiting = await outbox.count_causes(connection)
        except BACKEND_ERRORS as error:
            log.warning("causes_unknown", error=type(error).__name__)
            return
        self._announcer.queue_publish(kind for kind, rows in waiting.items() if self._told.get(kind) != rows)
        self._told = waiting

    def _note(self, batch: BatchResult, seconds: float, *, retry: bool) -> None:
        self._announcer.note(batch)
        if batch.claimed:
            _measure(batch, seconds)
        if batch.failed or batch.written.live_missing:
            self._doubt()
        if batch.kept:
            self._count_failure()
        elif retry:
            self._failures = 0
        if not batch.failed and (batch.claimed or not self._failures):
            self.progressed_at = time.monotonic()
            metrics.PROGRESS.labels(LANES[self._lane]).set_to_current_time()

    def _count_failure(self) -> None:
        self._failures += 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 10), LAST_PAUSE_SECONDS)
        self._retry_at = time.monotonic() + pause

    def _until_retry(self) -> float:
        return max(0.0, self._retry_at - time.monotonic())


def _measure(batch: BatchResult, seconds: float) -> None:
    metrics.BATCH_ROWS.observe(len(batch.claimed))
    metrics.BATCH_SECONDS.observe(seconds)
    metrics.ROWS.labels("done").inc(len(batch.done))
    metrics.ROWS.labels("kept").inc(len(batch.kept))
    metrics.ROWS.labels("refused").inc(len(batch.written.refused))
