import asyncio

import pytest
from redis.asyncio import Redis

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.errors import NoPreviousIndexError, ReindexRunningError
from indexer.index.admin import all_names, live_index
from indexer.index.reconcile import rebuild_connection
from indexer.rebuild.reindex import reindex
from indexer.rebuild.rollback import rollback
from schemas.redis_keys import GENERATION_COUNTER
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress, indexed


@pytest.fixture
async def names(settings: Settings, catalogue: CatalogueFactory, backends: Backends, no_index: None) -> list[str]:
    """Of the index before and of the one in use."""
    await catalogue.occurrence()
    names = [(await reindex(settings, ignore_progress)).name for _ in range(2)]
    await drain(backends)
    return names


async def test_rollback_activates_previous_index_with_later_changes(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, names: list[str]
) -> None:
    trip_id = await catalogue.occurrence()
    await drain(backends)
    assert await rollback(settings) == names[0]
    assert await live_index(backends.elasticsearch, backends.alias) == names[0]
    assert trip_id in await indexed(backends)
    await assert_in_sync(settings)


async def test_second_rollback_undoes_first(settings: Settings, backends: Backends, names: list[str]) -> None:
    await rollback(settings)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await drain(backends)
    assert await rollback(settings) == names[1]
    await assert_in_sync(settings)


async def test_reindex_after_rollback_retains_the_good_index(
    settings: Settings, backends: Backends, names: list[str]
) -> None:
    good, rejected = names
    await rollback(settings)
    await reindex(settings, ignore_progress)
    assert rejected not in await all_names(backends.elasticsearch, backends.alias)
    assert await rollback(settings) == good


async def test_rollback_without_previous_index_is_rejected(settings: Settings, backends: Backends, index: str) -> None:
    with pytest.raises(NoPreviousIndexError):
        await rollback(settings)
    assert await live_index(backends.elasticsearch, backends.alias) == index


async def test_rollback_to_foreign_index_is_rejected(settings: Settings, backends: Backends, names: list[str]) -> None:
    await backends.elasticsearch.indices.put_mapping(index=names[0], meta={"timeline": 99})
    with pytest.raises(NoPreviousIndexError):
        await rollback(settings)
    assert await live_index(backends.elasticsearch, backends.alias) == names[1]


async def test_rollback_during_reindex_is_rejected(settings: Settings, names: list[str]) -> None:
    async with rebuild_connection(settings):
        with pytest.raises(ReindexRunningError):
            await rollback(settings)


async def test_rollback_is_published_after_redis_outage(
    settings: Settings, backends: Backends, names: list[str], redis: Redis
) -> None:
    before = int(await redis.get(GENERATION_COUNTER))
    async with FaultProxy(settings.redis_url) as proxy:
        await proxy.switch(Mode.CUT)
        going_back = asyncio.create_task(rollback(settings.model_copy(update={"redis_url": proxy.url})))

        async def is_back() -> bool:
            return await live_index(backends.elasticsearch, backends.alias) == names[0]

        await eventually(is_back)
        await proxy.switch(Mode.PASS)
        await going_back
    assert int(await redis.get(GENERATION_COUNTER)) == before + 1
