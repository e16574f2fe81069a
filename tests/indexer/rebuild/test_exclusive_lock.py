"""A rebuild or rollback that stands still while batches wait for it: it is ended, and the synchronization goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from elastic_transport import AsyncTransport
from sqlalchemy import text

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.errors import BatchesBlockedError
from indexer.feed.batch import process_batch
from indexer.index import locks
from indexer.index.admin import all_names
from indexer.rebuild.reindex import reindex
from indexer.rebuild.rollback import rollback
from indexer.supervisor import IndexSupervisor
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, ignore_progress

SECONDS = 0.4

IS_EXCLUSIVE = text(
    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE locktype = 'advisory'"
    " AND objid = :key AND mode = 'ExclusiveLock' AND granted AND datname = current_database())"
)


async def run_reindex(settings: Settings) -> None:
    await reindex(settings, ignore_progress)


async def run_rollback(settings: Settings) -> None:
    await rollback(settings)


class StallingRequests:
    """Stalls the n-th request to Elasticsearch that is made while batches are excluded."""

    def __init__(self, backends: Backends, number: int) -> None:
        self.stalled = False
        self._stores = backends
        self._left = number

    async def pass_or_stall(self) -> None:
        async with self._stores.postgres.connect() as connection:
            exclusive = await connection.scalar(IS_EXCLUSIVE, {"key": locks.BATCH_LOCK})
        if exclusive:
            self._left -= 1
        if exclusive and not self._left:
            self.stalled = True
            await asyncio.Event().wait()


@pytest.fixture
async def indices(settings: Settings, catalogue: CatalogueFactory, backends: Backends, no_index: None) -> set[str]:
    await catalogue.occurrence()
    names = {(await reindex(settings, ignore_progress)).name for _ in range(2)}
    await drain(backends)
    return names


@pytest.fixture(params=[1, *(pytest.param(number, marks=pytest.mark.slow) for number in range(2, 7))])
def stalling(request: pytest.FixtureRequest, backends: Backends, monkeypatch: pytest.MonkeyPatch) -> StallingRequests:
    stalling = StallingRequests(backends, request.param)
    perform = AsyncTransport.perform_request

    async def perform_or_stall(transport: Any, *arguments: Any, **named: Any) -> Any:
        await stalling.pass_or_stall()
        return await perform(transport, *arguments, **named)

    monkeypatch.setattr(AsyncTransport, "perform_request", perform_or_stall)
    monkeypatch.setattr(locks, "EXCLUSIVE_SECONDS", SECONDS)
    return stalling


@pytest.mark.parametrize("run", [run_reindex, run_rollback])
async def test_stalled_server_ends_the_rebuild(
    settings: Settings,
    backends: Backends,
    indices: set[str],
    run: Callable[[Settings], Awaitable[None]],
    stalling: StallingRequests,
) -> None:
    ended = False
    try:
        async with asyncio.timeout(120):
            await run(settings)
    except BatchesBlockedError:
        # On a busy machine the time may be over before the request that would stall.
        ended = True
    assert ended or not stalling.stalled
    await process_batch(backends, retry=True)
    await IndexSupervisor(settings, backends).check()
    if ended:
        assert await all_names(backends.elasticsearch, backends.alias) == indices
    await assert_in_sync(settings)


async def hold_the_lock(backends: Backends) -> None:
    """Take the exclusive lock, and wait for a batch, which waits for the lock."""
    async with locks.rebuild_lock(backends.postgres) as connection, locks.batches_excluded(connection):
        await process_batch(backends, retry=True)


async def test_frozen_process_loses_the_lock(
    settings: Settings, backends: Backends, indices: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "EXCLUSIVE_SECONDS", SECONDS)
    stored = asyncio.timeout
    # A process that is stopped does not run its own timers.
    monkeypatch.setattr("indexer.index.locks.asyncio.timeout", lambda seconds: stored(None))
    with pytest.raises(BatchesBlockedError):
        await hold_the_lock(backends)
    async with locks.rebuild_lock(backends.postgres):
        pass
