"""A full reindex beside the one in use: load, compare, swap; searches and changes go on meanwhile."""

import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from elasticsearch import ApiError, TransportError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from core import clients
from core.settings import Settings
from indexer import metrics
from indexer.backends import Backends, open_backends
from indexer.documents.rows import snapshot
from indexer.errors import ReindexMismatchError
from indexer.index import admin, locks, targets, versions
from indexer.index.reconcile import rebuild_connection, reconcile
from indexer.index.targets import TargetState
from indexer.invalidation import publish_all_changed
from indexer.rebuild import checksums
from indexer.rebuild.loader import BulkLoader
from indexer.rebuild.progress import Progress, publishing_progress

log = structlog.get_logger()


@dataclass(frozen=True)
class ReindexReport:
    name: str
    previous: str | None
    documents: int
    refused: dict[int, str]
    """Departures that can't be shown, and why."""
    seconds: float

    @property
    def rate(self) -> float:
        return self.documents / self.seconds


async def reindex(settings: Settings, progress: Callable[[Progress], None]) -> ReindexReport:
    """Raises ReindexRunning, ReindexMismatch, IndexUnavailable; the index in use is then what it was before."""
    async with (
        open_backends(settings) as stores,
        rebuild_connection(settings) as connection,
        clients.redis(settings.redis_url, timeout=settings.redis_seconds) as redis,
    ):
        async with publishing_progress(redis) as publish:
            report = await _reindex(connection, stores, settings.reindex_rate, _both(progress, publish))
        metrics.REINDEXED.inc()
        metrics.record_publication(await publish_all_changed(redis))
    return report


def _both(one: Callable[[Progress], None], other: Callable[[Progress], None]) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        one(progress)
        other(progress)

    return report


async def _reindex(
    connection: AsyncConnection, stores: Backends, rate: float | None, progress: Callable[[Progress], None]
) -> ReindexReport:
    started = time.monotonic()
    await reconcile(connection, stores)
    async with _register_target(connection, stores) as name:
        load = BulkLoader(stores, name, progress, rate)
        await load.run()
        await admin.finish_loading(stores.elasticsearch, name)
        await _compare(connection, stores, name, ignored=load.refused)
        previous = await _activate(connection, stores, name)
    await reconcile(connection, stores)
    return ReindexReport(name, previous, load.done - len(load.refused), load.refused, time.monotonic() - started)


@asynccontextmanager
async def _register_target(connection: AsyncConnection, stores: Backends) -> AsyncIterator[str]:
    """Known to every batch by the time the block begins, and gone again if the block fails."""
    name = admin.new_name(stores.alias)
    origin = await versions.database_origin(stores.postgres)
    await admin.create(stores.elasticsearch, name, origin.meta())
    try:
        async with connection.begin():
            await targets.register(connection, name)
        async with connection.begin():
            await locks.exclude_batches(connection)
        yield name
    except BaseException:
        await _discard(connection, stores, name)
        raise


async def _discard(connection: AsyncConnection, stores: Backends, name: str) -> None:
    try:
        await connection.rollback()
        if await admin.live_index(stores.elasticsearch, stores.alias) != name:
            async with connection.begin():
                await targets.remove(connection, [name])
            await admin.drop(stores.elasticsearch, [name])
    except (ApiError, TransportError, DBAPIError, OSError) as error:
        log.warning("index_left_behind", name=name, error=type(error).__name__)


async def _activate(connection: AsyncConnection, stores: Backends, name: str) -> str | None:
    """Answers the name of the index that was in use; both are written to before and after."""
    previous = await admin.live_index(stores.elasticsearch, stores.alias)
    async with connection.begin():
        if previous is not None:
            await targets.mark(connection, previous, TargetState.PREVIOUS)
        if not await targets.mark(connection, name, TargetState.LIVE):
            raise ReindexMismatchError([f"{name} was lost while it was being built"])
        await admin.swap_alias(stores.elasticsearch, stores.alias, previous, name)
    log.info("index_in_use", name=name, previous=previous)
    return previous


async def _compare(connection: AsyncConnection, stores: Backends, name: str, ignored: Collection[int]) -> None:
    """Raises ReindexMismatch. What waits in the outbox is left out, for it may be in the index or not."""
    async with snapshot(stores.postgres) as reader:
        async with connection.begin():
            # The new index stands still, and the snapshot is of this moment; batches go on as soon as it is summed up.
            await locks.exclude_batches(connection)
            await stores.elasticsearch.indices.refresh(index=name)
            waiting = await checksums.pending_departures(reader)
            if waiting is None:
                log.info("index_not_compared", name=name)
                return
            left_out = waiting.union(ignored)
            documents = await checksums.index_checksums(stores.elasticsearch, name, left_out)
        rows = await checksums.database_checksums(reader, left_out)
    if differences := checksums.diff(rows, documents):
        raise ReindexMismatchError(differences)
