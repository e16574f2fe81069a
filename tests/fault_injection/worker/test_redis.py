"""Redis is no source of truth: without it changes are indexed, and caches are invalidated when it is back."""

from redis.asyncio import Redis

from schemas.redis_keys import GENERATION_COUNTER
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.worker_process import SOON, worker_task
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.sync import execute


async def test_sync_works_without_redis(sync: SyncFixture, redis: Redis) -> None:
    await sync.dependencies["redis"].switch(Mode.CUT)
    async with worker_task(sync.dependencies.settings):
        await sync.workload.write()
        await sync.wait_until_in_sync()
        assert await redis.get(GENERATION_COUNTER) is None
        await sync.dependencies["redis"].switch(Mode.PASS)
        await eventually(lambda: is_published(redis), SOON)


async def is_published(redis: Redis) -> bool:
    return bool(await redis.exists(GENERATION_COUNTER))


async def test_sync_survives_repeated_flushes_of_redis(sync: SyncFixture, redis: Redis) -> None:
    async with worker_task(sync.settings):
        async with sync.workload.running():
            for _ in range(20):
                await redis.flushdb()
                await sync.workload.write()
        await sync.wait_until_in_sync()
        before = int(await redis.get(GENERATION_COUNTER) or 0)
        await redis.flushdb()
        await execute(sync.workload.engine, "UPDATE companies SET name = name || '.'")
        await eventually(lambda: is_published(redis), SOON)
        assert int(await redis.get(GENERATION_COUNTER)) > before
