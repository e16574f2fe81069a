"""Bulk load: write all departures to a new index, by id and in chunks, several of them concurrently."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from tenacity import AsyncRetrying

from core.concurrency.retries import retry_times
from core.concurrency.tasks import task_group
from core.tracing import spans
from indexer import metrics
from indexer.backends import Backends
from indexer.documents.builder import build_documents
from indexer.documents.rows import snapshot
from indexer.documents.templates import DocumentCache
from indexer.errors import DocumentsRejectedError, IndexUnavailableError
from indexer.index import bulk_writer, rejections, versions
from indexer.index.keyset import MIN_ID, database_ids
from indexer.rebuild.progress import Progress
from schemas.tables import TripOccurrence

CHUNK = 1000
"""Departures."""
IN_FLIGHT = 5
"""Chunks that are read or written at a time: enough to keep both servers and this process busy."""

MAX_REJECTED = 5
"""Documents that Elasticsearch may reject. Values that its types cannot hold are rejected before."""

ATTEMPTS = 8
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.25, 8.0
"""Attempts at a step of a rebuild, over 24 seconds."""
POSTGRES_FAILURES = (SQLAlchemyError, OSError)
"""A connection that breaks or is not there in time, as on a busy machine, must not cost all that has been loaded."""
SNAPSHOT_IDLE_SECONDS = 300.0
"""Seconds for which a chunk's snapshot may be idle, longer than all attempts last."""


@dataclass
class BulkLoader:
    """One load of one index."""

    backends: Backends
    name: str
    progress: Callable[[Progress], None]
    rate: float | None
    """Most departures per second."""
    chunk_size: int = CHUNK
    rejected: dict[int, str] = field(default_factory=dict)
    """Departures that are invalid or that Elasticsearch rejected, and why."""
    done: int = 0
    total: int = 0
    _version: int = 0
    _cache: DocumentCache = field(default_factory=DocumentCache)
    _after: int = MIN_ID
    _next_chunk_at: float = 0.0
    """Before which the rate allows no other chunk (monotonic)."""
    _started: float = field(default_factory=time.monotonic)
    _rejected: int = 0
    """Documents that Elasticsearch rejected."""
    _page_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Load all departures.

        Raises: IndexUnavailableError if Elasticsearch fails for longer than the retries last, DocumentsRejectedError.
        """
        # One version for all that is read from here on: consumers write later changes under a higher one.
        self._version = await versions.next_version(self.backends.postgres)
        async with self.backends.postgres.connect() as connection:
            self.total = await connection.scalar(select(func.count()).select_from(TripOccurrence)) or 0
        self._report()
        async with task_group(Exception) as tasks:
            for _ in range(IN_FLIGHT):
                tasks.create_task(self._load_chunks())

    async def _load_chunks(self) -> None:
        while ids := await self._next_ids():
            with spans.span("load departures", {"smarttrip.departures": len(ids)}):
                await retrying(*POSTGRES_FAILURES)(self._load_chunk, ids)
            self.done += len(ids)
            self._report()

    async def _next_ids(self) -> Sequence[int]:
        """Return the ids of the next chunk. A departure that is inserted with a lower id has its own outbox row."""
        async with self._page_lock:
            await self._throttle()
            with spans.span("scan departures"):
                ids: Sequence[int] = await retrying(*POSTGRES_FAILURES)(self._scan)
            if ids:
                self._after = ids[-1]
                self._delay_next(len(ids))
        return ids

    async def _scan(self) -> Sequence[int]:
        async with self.backends.postgres.connect() as connection:
            return await database_ids(connection, after=self._after, limit=self.chunk_size)

    async def _throttle(self) -> None:
        await asyncio.sleep(max(0.0, self._next_chunk_at - time.monotonic()))

    def _delay_next(self, departures: int) -> None:
        """Allow the next chunk when the rate does. What a stall has delayed is not made up for, at full speed."""
        if self.rate is not None:
            self._next_chunk_at = max(self._next_chunk_at, time.monotonic()) + departures / self.rate

    async def _load_chunk(self, ids: Sequence[int]) -> None:
        # The snapshot stays open until the writes are done, so that a TRUNCATE waits for them: its own outbox row is
        # then handled after them.
        async with snapshot(self.backends.postgres, idle_seconds=SNAPSHOT_IDLE_SECONDS) as connection:
            built = await build_documents(connection, ids, self._cache)
            self.rejected |= built.rejected
            await self._write(built.documents)

    async def _write(self, changes: bulk_writer.Changes) -> None:
        """Write documents with retries; one that fails for ever is rejected, if the index accepts others."""
        unwritten = dict(changes)
        try:
            await self._write_with_retries(unwritten)
        except IndexUnavailableError as error:
            outcome = bulk_writer.WriteOutcome(retryable=dict.fromkeys(unwritten, str(error)))
            await rejections.reject_repeatedly_failing(
                self.backends.elasticsearch, self.name, self._version, unwritten, outcome
            )
            if outcome.retryable:
                raise
            self._add_rejected(outcome)

    async def _write_with_retries(self, changes: dict[int, bytes | None]) -> None:
        """Write `changes`, and delete from that dictionary what is written or rejected: it is not tried again."""
        async for attempt in retrying(IndexUnavailableError):
            with attempt:
                outcomes = await bulk_writer.write(self.backends.elasticsearch, [self.name], self._version, changes)
                outcome = outcomes[self.name]
                self._add_rejected(outcome)
                for trip_id in changes.keys() - outcome.retryable.keys():
                    del changes[trip_id]
                if changes:
                    raise IndexUnavailableError(next(iter(outcome.retryable.values())))

    def _add_rejected(self, outcome: bulk_writer.WriteOutcome) -> None:
        """Raise DocumentsRejectedError if the index rejects more than a handful: the fault is not the documents'."""
        self.rejected |= outcome.rejected
        self._rejected += len(outcome.rejected)
        if outcome.rejected and self._rejected > MAX_REJECTED:
            raise DocumentsRejectedError(self.name, self._rejected, next(iter(outcome.rejected.values())))

    def _report(self) -> None:
        metrics.REINDEX_DONE.set(self.done)
        metrics.REINDEX_TOTAL.set(self.total)
        progress = Progress(self.done, self.total, time.monotonic() - self._started)
        metrics.REINDEX_RATE.set(progress.rate)
        metrics.REINDEX_END.set(time.time() + (progress.seconds_left or 0))
        self.progress(progress)


def retrying(*errors: type[Exception], **options: Callable[[BaseException], bool]) -> AsyncRetrying:
    """Return the retry policy of a rebuild; `options` are further ones of `retry_times`."""
    return retry_times(ATTEMPTS, errors, first=FIRST_RETRY_SECONDS, longest=LONGEST_RETRY_SECONDS, **options)
