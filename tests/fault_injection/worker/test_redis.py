"""The truth is in Postgres: without Redis changes are indexed as ever, and the caches are told when it is back."""

import pytest
from redis.asyncio import Redis

from schemas.redis_keys import GENERATION_COUNTER
from tests.fault_injection.worker.conftest import Scene
from tests.fault_injection.worker.worker_process import SOON, working
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.sync import execute

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own


async def test_without_redis_from_the_start_changes_arrive_and_are_told_later(scene: Scene, redis: Redis) -> None:
    await scene.ways["redis"].switch(Mode.CUT)
    async with working(scene.breakable):
        await scene.platform.change()
        await scene.in_sync()
        assert await redis.get(GENERATION_COUNTER) is None
        await scene.ways["redis"].switch(Mode.PASS)
        await eventually(lambda: is_told(redis), SOON)


async def is_told(redis: Redis) -> bool:
    return bool(await redis.exists(GENERATION_COUNTER))


async def test_a_redis_that_is_emptied_all_the_time_costs_nothing(scene: Scene, redis: Redis) -> None:
    async with working(scene.settings):
        async with scene.platform.writing():
            for _ in range(20):
                await redis.flushdb()
                await scene.platform.change()
        await scene.in_sync()
        before = int(await redis.get(GENERATION_COUNTER) or 0)
        await redis.flushdb()
        await execute(scene.platform.engine, "UPDATE companies SET name = name || '.'")
        await eventually(lambda: is_told(redis), SOON)
        assert int(await redis.get(GENERATION_COUNTER)) > before
