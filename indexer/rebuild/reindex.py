"""Full reindex: build a new index, compare it with Postgres, and move the alias to it.

Searches and changes go on meanwhile: batches write to the live index and to the new one.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

import structlog
from elasticsearch import ApiError, TransportError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from core import clients
from core.configuration.settings import Settings
from core.tracing import spans
from indexer import metrics, publisher_leases
from indexer.backends import Backends, open_backends
from indexer.documents.rows import snapshot
from indexer.errors import ReindexMismatchError
from indexer.index import admin, locks, targets, versions
from indexer.index.ownership import own_mark
from indexer.index.reconcile import rebuild_connection, reconcile
from indexer.index.targets import TargetState
from indexer.invalidation_publisher import publish_all_changed
from indexer.rebuild import checksums
from indexer.rebuild.loader import CHUNK, POSTGRES_FAILURES, BulkLoader, retrying
from indexer.rebuild.progress import Progress, publishing_progress

log = structlog.get_logger()

REFRESH_SECONDS = 300.0

STEP_FAILURES = (*POSTGRES_FAILURES, ApiError, TransportError)
"""Errors after which a step is tried again."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class ReindexReport:
    name: str
    previous: str | None
    documents: int
    refused: dict[int, str]
    """Departures that are invalid or that Elasticsearch rejected, and why."""
    seconds: float

    @property
    def rate(self) -> float:
        """Departures per second."""
        return self.documents / self.seconds


async def reindex(
    settings: Settings, progress: Callable[[Progress], None], *, chunk_size: int = CHUNK
) -> ReindexReport:
    """Build a new index and activate it; if that fails, the live index stays what it was.

    Raises: ReindexRunningError, ReindexMismatchError, IndexUnavailableError.
    """
    async with (
        open_backends(settings) as backends,
        rebuild_connection(settings) as connection,
        clients.own_redis(settings, timeout=settings.redis_seconds) as redis,
    ):
        async with publishing_progress(redis) as publish:
            rebuild = _Rebuild(connection, backends, settings.reindex_rate, chunk_size)
            report = await rebuild.run(_tee(progress, publish))
        metrics.REINDEXED.inc()
        generation = await publish_all_changed(redis)
        metrics.record_publication(generation)
        if generation is not None:
            async with connection.begin():
                await publisher_leases.remove(connection, rebuild.publisher)
    return report


def _tee(first: Callable[[Progress], None], second: Callable[[Progress], None]) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        first(progress)
        second(progress)

    return report


@dataclass(frozen=True)
class _Rebuild:
    connection: AsyncConnection
    """Holds the rebuild lock."""
    backends: Backends
    rate: float | None
    """Most departures per second."""
    chunk_size: int
    publisher: UUID = field(default_factory=uuid4)
    """Registered with the swap, until caches were notified of it."""

    async def run(self, progress: Callable[[Progress], None]) -> ReindexReport:
        started = time.monotonic()
        await reconcile(self.connection, self.backends)
        async with _register_target(self.connection, self.backends) as name:
            loader = BulkLoader(self.backends, name, progress, self.rate, self.chunk_size)
            with spans.span("load index") as span:
                await loader.run()
                span.set({"smarttrip.documents": loader.done, "smarttrip.documents.rejected": len(loader.rejected)})
            await self._retry(partial(admin.finish_loading, self.backends.elasticsearch, name))
            with spans.span("compare index"):
                await self._retry(partial(_compare, self.connection, self.backends, name, loader.rejected))
            with spans.span("swap index"):
                previous = await self._activate(name)
        await self._retry(partial(reconcile, self.connection, self.backends))
        seconds = time.monotonic() - started
        return ReindexReport(name, previous, loader.done - len(loader.rejected), loader.rejected, seconds)

    async def _activate(self, name: str) -> str | None:
        """Make the index live; return the name of the previous one. Batches write to both before and after."""
        es, alias = self.backends.elasticsearch, self.backends.alias
        previous = await self._retry(partial(admin.live_index, es, alias))
        await self._retry(partial(_swap, self.connection, self.backends, name, previous, self.publisher))
        log.info("index_in_use", name=name, previous=previous)
        return previous

    async def _retry(self, step: Callable[[], Awaitable[Result]]) -> Result:
        """Take a step, and again if a server fails: a broken connection must not cost all that has been loaded."""
        return await retrying(*STEP_FAILURES, unless=self._is_final)(step)

    def _is_final(self, error: BaseException) -> bool:
        """Return whether Elasticsearch rejects the step, or the rebuild lock is lost: others may be rebuilding."""
        is_rejected = isinstance(error, ApiError) and error.status_code not in clients.UNAVAILABLE_STATUSES
        return is_rejected or self.connection.invalidated


@asynccontextmanager
async def _register_target(connection: AsyncConnection, backends: Backends) -> AsyncIterator[str]:
    """Create an index that every batch writes to by the time the block begins; discard it if the block fails."""
    name = admin.new_name(backends.alias)
    origin = await versions.database_origin(backends.postgres)
    mark = await own_mark(backends)
    await admin.create(backends.elasticsearch, name, {**origin.meta(), **mark}, shards=backends.shards)
    try:
        async with connection.begin():
            await targets.register(connection, name)
        async with locks.batches_excluded(connection):
            pass  # Batches that began before the registration have ended.
        yield name
    except BaseException:
        await _discard(connection, backends, name)
        raise


async def _discard(connection: AsyncConnection, backends: Backends, name: str) -> None:
    try:
        await connection.rollback()
        if await admin.live_index(backends.elasticsearch, backends.alias) != name:
            async with connection.begin():
                await targets.remove(connection, [name])
            await admin.drop(backends.elasticsearch, [name])
    except (ApiError, TransportError, DBAPIError, OSError) as error:
        log.warning("index_left_behind", name=name, error=type(error).__name__)


async def _swap(
    connection: AsyncConnection, backends: Backends, name: str, previous: str | None, publisher: UUID
) -> None:
    async with connection.begin():
        if previous is not None:
            await targets.mark(connection, previous, TargetState.PREVIOUS)
        if not await targets.mark(connection, name, TargetState.LIVE):
            raise ReindexMismatchError([f"{name} was lost while it was being built"])
        await publisher_leases.request_publication(connection, publisher)
        # It has the alias already if only the response to an earlier attempt was lost.
        if await admin.live_index(backends.elasticsearch, backends.alias) != name:
            await admin.swap_alias(backends.elasticsearch, backends.alias, previous, name, backends.public_alias)


async def _compare(connection: AsyncConnection, backends: Backends, name: str, ignored: Collection[int]) -> None:
    """Compare checksums of the index and of Postgres.

    Departures with a change in the outbox are left out: the index may have the change or not.
    Raises: ReindexMismatchError.
    """
    # The worker has read the departures again if the platform's columns have changed since the load began.
    await backends.columns.check()
    # Most of the refresh is done before batches have to wait for the rest.
    await backends.elasticsearch.options(request_timeout=REFRESH_SECONDS).indices.refresh(index=name)
    async with snapshot(backends.postgres) as reader:
        async with locks.batches_excluded(connection):
            # While batches are excluded the index does not change, and the snapshot is taken at the same moment.
            # Batches go on as soon as the checksums of the index are there.
            await backends.elasticsearch.indices.refresh(index=name)
            pending = await checksums.pending_departures(reader)
            if pending is None:
                log.info("index_not_compared", name=name)
                return
            left_out = pending.union(ignored)
            documents = await checksums.index_checksums(backends.elasticsearch, name, left_out)
        rows = await checksums.database_checksums(reader, left_out)
    if differences := checksums.diff(rows, documents):
        raise ReindexMismatchError(differences)
