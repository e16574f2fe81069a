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
from indexer.backends import Stores, open_stores
from indexer.documents.rows import snapshot
from indexer.errors import ReindexMismatch
from indexer.index import admin, targets, versions
from indexer.index.reconcile import builder, clean_up
from indexer.index.targets import State
from indexer.invalidation import announce_everything
from indexer.rebuild import checksums
from indexer.rebuild.loader import Load
from indexer.rebuild.progress import Progress, published

log = structlog.get_logger()


@dataclass(frozen=True)
class Report:
    name: str
    previous: str | None
    documents: int
    refused: dict[int, str]
    """Departures that can't be shown, and why."""
    seconds: float

    @property
    def rate(self) -> float:
        return self.documents / self.seconds


async def reindex(settings: Settings, progress: Callable[[Progress], None]) -> Report:
    """Raises ReindexRunning, ReindexMismatch, IndexUnavailable; the index in use is then what it was before."""
    async with (
        open_stores(settings) as stores,
        builder(settings) as connection,
        clients.redis(settings.redis_url, timeout=settings.redis_seconds) as redis,
    ):
        async with published(redis) as publish:
            report = await _reindex(connection, stores, settings.reindex_rate, _both(progress, publish))
        metrics.REINDEXED.inc()
        await announce_everything(redis)
    return report


def _both(one: Callable[[Progress], None], other: Callable[[Progress], None]) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        one(progress)
        other(progress)

    return report


async def _reindex(
    connection: AsyncConnection, stores: Stores, rate: float | None, progress: Callable[[Progress], None]
) -> Report:
    started = time.monotonic()
    await clean_up(connection, stores)
    async with _new_target(connection, stores) as name:
        load = Load(stores, name, progress, rate)
        await load.run()
        await admin.serve(stores.elasticsearch, name)
        await _compare(connection, stores, name, ignored=load.refused)
        previous = await _put_in_use(connection, stores, name)
    await clean_up(connection, stores)
    return Report(name, previous, load.done - len(load.refused), load.refused, time.monotonic() - started)


@asynccontextmanager
async def _new_target(connection: AsyncConnection, stores: Stores) -> AsyncIterator[str]:
    """Known to every batch by the time the block begins, and gone again if the block fails."""
    name = admin.new_name(stores.alias)
    origin = await versions.origin(stores.postgres)
    await admin.create(stores.elasticsearch, name, origin.meta())
    try:
        async with connection.begin():
            await targets.register(connection, name)
        async with connection.begin():
            await targets.keep_batches_out(connection)
        yield name
    except BaseException:
        await _abandon(connection, stores, name)
        raise


async def _abandon(connection: AsyncConnection, stores: Stores, name: str) -> None:
    try:
        await connection.rollback()
        if await admin.behind_alias(stores.elasticsearch, stores.alias) != name:
            async with connection.begin():
                await targets.forget(connection, [name])
            await admin.drop(stores.elasticsearch, [name])
    except (ApiError, TransportError, DBAPIError, OSError) as error:
        log.warning("index_left_behind", name=name, error=type(error).__name__)


async def _put_in_use(connection: AsyncConnection, stores: Stores, name: str) -> str | None:
    """Answers the name of the index that was in use; both are written to before and after."""
    previous = await admin.behind_alias(stores.elasticsearch, stores.alias)
    async with connection.begin():
        if previous is not None:
            await targets.mark(connection, previous, State.PREVIOUS)
        if not await targets.mark(connection, name, State.LIVE):
            raise ReindexMismatch([f"{name} was lost while it was being built"])
        await admin.swap(stores.elasticsearch, stores.alias, previous, name)
    log.info("index_in_use", name=name, previous=previous)
    return previous


async def _compare(connection: AsyncConnection, stores: Stores, name: str, ignored: Collection[int]) -> None:
    """Raises ReindexMismatch. What waits in the outbox is left out, for it may be in the index or not."""
    async with snapshot(stores.postgres) as reader:
        async with connection.begin():
            # The new index stands still, and the snapshot is of this moment; batches go on as soon as it is summed up.
            await targets.keep_batches_out(connection)
            await stores.elasticsearch.indices.refresh(index=name)
            waiting = await checksums.pending(reader)
            if waiting is None:
                log.info("index_not_compared", name=name)
                return
            left_out = waiting.union(ignored)
            documents = await checksums.sums_of_index(stores.elasticsearch, name, left_out)
        rows = await checksums.sums_of_rows(reader, left_out)
    if differences := checksums.differences(rows, documents):
        raise ReindexMismatch(differences)
