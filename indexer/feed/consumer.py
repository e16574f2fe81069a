"""The consumer of a lane of the outbox: batch after batch while there are rows, then it polls."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from core.concurrency.retries import backoff_seconds
from core.errors import BACKEND_ERRORS
from core.metrics.labels import error_label, error_labels, with_values
from indexer import metrics
from indexer.backends import Backends
from indexer.errors import IndexNotWritableError
from indexer.feed import wait_reasons
from indexer.feed.batch import BatchResult, BatchStalledError, process_batch
from indexer.feed.batch_size import BatchSize
from indexer.feed.notifier import ChangeNotifier
from indexer.index import locks, outbox
from indexer.index.outbox import DEFAULT_LIMITS, LANES, UPSTREAM, BatchLimits

log = structlog.get_logger()

POLL_SECONDS = 0.25
"""Longest time that a change goes unnoticed. Polling, not NOTIFY: that would serialize the commits of all writers."""
FIRST_PAUSE_SECONDS = 0.25
LAST_PAUSE_SECONDS = 5.0
"""Pauses between two attempts on rows that failed; they double."""
NOT_WRITABLE_POLL_SECONDS = 1.0
"""Longest pause while there is no index to write to: caches have to be notified of upstream changes all the same."""


FAILURES = (IndexNotWritableError, BatchStalledError, *BACKEND_ERRORS)
"""Errors with which a batch fails as a whole."""

with_values(metrics.ERRORS, error_labels(FAILURES))
with_values(metrics.PROGRESS, LANES.values())


class OutboxConsumer:
    """Consumes one lane of the outbox: slow batches of other lanes do not delay it."""

    def __init__(
        self,
        backends: Backends,
        lane: int,
        notifier: ChangeNotifier,
        request_check: Callable[[], None],
        limits: BatchLimits = DEFAULT_LIMITS,
    ) -> None:
        """`request_check` is called when the index may be missing, or when Postgres may have been restored."""
        self._backends = backends
        self._lane = lane
        self._notifier = notifier
        self._request_check = request_check
        self._size = BatchSize(lane, limits)
        self._stopped = asyncio.Event()
        self._failures = 0
        self._retry_at = 0.0
        self._published: Mapping[str, tuple[int, int]] = {}
        """Upstream changes that wait for an index and that caches were notified of."""
        self.progressed_at = time.monotonic()
        """Time (monotonic) at which rows were last done, or none were left."""

    def stop(self) -> None:
        """Make `run` return after the current batch."""
        self._stopped.set()

    async def run(self) -> None:
        while not self._stopped.is_set():
            pause = await self._drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), pause)

    async def _drain(self) -> float:
        """Process batches until no row is left or one fails; return the seconds until the next poll."""
        while not self._stopped.is_set():
            retry = time.monotonic() >= self._retry_at
            started = time.monotonic()
            try:
                batch = await self._process_batch(retry=retry)
            except IndexNotWritableError as error:
                wait_reasons.count_waiting(error)
                pause = self._back_off(error)
                await self._count_rebuild_as_progress()
                if self._lane == UPSTREAM:
                    await self._publish_upstream_changes()
                return min(pause, NOT_WRITABLE_POLL_SECONDS)
            except (BatchStalledError, *BACKEND_ERRORS) as error:
                return self._back_off(error)
            seconds = time.monotonic() - started
            self._record(batch, seconds, retry=retry)
            if not batch.may_be_followed:
                return self._until_retry()
            if not batch.claimed:
                return min(POLL_SECONDS, self._until_retry()) if self._failures else POLL_SECONDS
        return 0.0

    async def _process_batch(self, *, retry: bool) -> BatchResult:
        await self._notifier.register()
        return await process_batch(
            self._backends,
            [self._lane],
            self._size.limits,
            retry=retry,
            publisher=self._notifier.publisher,
            since=self._notifier.generation,
            # A commit that fails may have been done all the same; and the index has been written to in any case.
            before_commit=self._notifier.record,
        )

    def _back_off(self, error: Exception) -> float:
        metrics.ERRORS.labels(error_label(error, FAILURES)).inc()
        log.warning("batch_failed", error=type(error).__name__, message=str(error)[:300])
        self._request_check()
        self._count_failure()
        return self._until_retry()

    async def _publish_upstream_changes(self) -> None:
        """Notify caches, which are filled from Postgres and need not wait until there is an index to write to."""
        try:
            async with self._backends.postgres.connect() as connection:
                changes = await outbox.count_upstream_changes(connection)
        except BACKEND_ERRORS as error:
            log.warning("causes_unknown", error=type(error).__name__)
            return
        self._notifier.queue_publish(kind for kind, rows in changes.items() if self._published.get(kind) != rows)
        self._published = changes

    def _record(self, batch: BatchResult, seconds: float, *, retry: bool) -> None:
        if batch.claimed:
            _record_metrics(batch, seconds)
            wait_reasons.count_put_off({*batch.written.retryable.values()})
        if batch.failed_entirely or batch.written.live_missing:
            self._request_check()
        self._size.adapt(len(batch.claimed), seconds)
        if batch.failed:
            self._count_failure()
        elif retry:
            self._failures = 0
        if not batch.failed_entirely and (batch.claimed or not self._failures):
            self._record_progress()

    def _record_progress(self) -> None:
        self.progressed_at = time.monotonic()
        metrics.PROGRESS.labels(LANES[self._lane]).set_to_current_time()

    async def _count_rebuild_as_progress(self) -> None:
        """Count a rebuild by any process as progress: a restart of the worker would only begin it anew."""
        with suppress(*BACKEND_ERRORS):
            async with self._backends.postgres.connect() as connection:
                if await locks.is_rebuilding(connection):
                    self._record_progress()

    def _count_failure(self) -> None:
        self._failures += 1
        self._size.reset()
        pause = backoff_seconds(self._failures, first=FIRST_PAUSE_SECONDS, longest=LAST_PAUSE_SECONDS)
        self._retry_at = time.monotonic() + pause

    def _until_retry(self) -> float:
        return max(0.0, self._retry_at - time.monotonic())


def _record_metrics(batch: BatchResult, seconds: float) -> None:
    metrics.BATCH_ROWS.observe(len(batch.claimed))
    metrics.BATCH_SECONDS.observe(seconds)
    metrics.ROWS.labels("done").inc(len(batch.done))
    metrics.ROWS.labels("kept").inc(len(batch.failed))
    metrics.ROWS.labels("refused").inc(len(batch.written.rejected))
