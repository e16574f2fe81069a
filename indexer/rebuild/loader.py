"""Fills a new index with all departures, by id and in chunks, several of them in flight."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from indexer import metrics
from indexer.backends import Backends
from indexer.documents.builder import build_documents
from indexer.documents.rows import snapshot
from indexer.documents.templates import DocumentCache
from indexer.errors import IndexUnavailableError
from indexer.index import bulk_writer, versions
from indexer.index.keyset import MIN_ID, database_ids
from indexer.rebuild.progress import Progress
from schemas.tables import TripOccurrence

CHUNK = 1000
IN_FLIGHT = 5
"""Chunks being read or written at a time: enough to keep both servers and this process busy."""

PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Seconds after each refusal; the last one ends the load."""


@dataclass
class BulkLoader:
    """One filling of one index; `rate` is its limit in departures a second."""

    stores: Backends
    name: str
    progress: Callable[[Progress], None]
    rate: float | None
    refused: dict[int, str] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    _version: int = 0
    _known: DocumentCache = field(default_factory=DocumentCache)
    _after: int = MIN_ID
    _read_count: int = 0
    _started: float = field(default_factory=time.monotonic)
    _page_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Raises IndexUnavailable when Elasticsearch takes nothing for long."""
        # One for all that is read from here on: whatever changes later is written by the feed under a higher one.
        self._version = await versions.next_version(self.stores.postgres)
        async with self.stores.postgres.connect() as connection:
            self.total = await connection.scalar(select(func.count()).select_from(TripOccurrence)) or 0
        self._report()
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(IN_FLIGHT):
                    tasks.create_task(self._load_chunks())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def _load_chunks(self) -> None:
        while ids := await self._next_ids():
            await self._load_chunk(ids)
            self.done += len(ids)
            self._report()

    async def _next_ids(self) -> Sequence[int]:
        """A departure that appears later with an id already passed has an outbox row of its own."""
        async with self._page_lock:
            await self._throttle()
            async with self.stores.postgres.connect() as connection:
                ids = await database_ids(connection, after=self._after, limit=CHUNK)
            if ids:
                self._after = ids[-1]
                self._read_count += len(ids)
        return ids

    async def _load_chunk(self, ids: Sequence[int]) -> None:
        # Open until the writes are done: a TRUNCATE waits for it, and its own outbox row is handled after them.
        async with snapshot(self.stores.postgres) as connection:
            reading = await build_documents(connection, ids, self._known)
            self.refused |= reading.rejected
            await self._write(reading.documents)

    async def _write(self, changes: bulk_writer.Changes) -> None:
        for pause in PAUSES:
            outcomes = await bulk_writer.write(self.stores.elasticsearch, [self.name], self._version, changes)
            outcome = outcomes[self.name]
            self.refused |= outcome.rejected
            if not outcome.retryable:
                return
            changes = {trip_id: changes[trip_id] for trip_id in outcome.retryable}
            await asyncio.sleep(pause)
        raise IndexUnavailableError(next(iter(outcome.retryable.values())))

    def _report(self) -> None:
        metrics.REINDEX_DONE.set(self.done)
        metrics.REINDEX_TOTAL.set(self.total)
        self.progress(Progress(self.done, self.total, time.monotonic() - self._started))

    async def _throttle(self) -> None:
        if self.rate is not None:
            ahead = self._started + self._read_count / self.rate - time.monotonic()
            await asyncio.sleep(max(0.0, ahead))
