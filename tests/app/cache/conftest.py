from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from core.configuration.settings import Settings
from indexer.invalidation_publisher import publish
from tests.support.cache import SimulatedProcess, simulated_process
from tests.support.fault_proxy import FaultProxy


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[FaultProxy]:
    """Return a proxy in front of Redis."""
    async with FaultProxy(settings.redis_url) as proxy:
        yield proxy


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    await redis.flushdb()
    # The first generation after a lost counter invalidates everything.
    await publish(redis, [])
    return redis


@pytest.fixture
async def one(redis: Redis) -> AsyncIterator[SimulatedProcess]:
    async with simulated_process(redis) as process:
        yield process


@pytest.fixture
async def other(redis: Redis) -> AsyncIterator[SimulatedProcess]:
    async with simulated_process(redis) as process:
        yield process
