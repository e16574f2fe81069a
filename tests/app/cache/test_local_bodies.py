"""Bodies that the process itself keeps: bounded by bytes, and all there is without Redis."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from app.backends.redis import ResilientRedis
from app.cache.invalidation_state import InvalidationState
from app.cache.redis_store import REDIS_ERRORS, RedisStore
from app.cache.response_cache import BRIEF_BYTES, ResponseCache
from core import clients
from tests.support.api.silent_server import silent_server
from tests.support.cache import COUNTRY, FakeLoader, SimulatedProcess


@pytest.fixture
async def unreachable(unused_tcp_port: int) -> AsyncIterator[Redis]:
    async with clients.redis(f"redis://127.0.0.1:{unused_tcp_port}/0") as client:
        yield client


async def test_local_cache_is_bounded_by_bytes(unreachable: Redis) -> None:
    process = SimulatedProcess(
        ResponseCache(RedisStore(ResilientRedis(unreachable)), InvalidationState(), max_bytes=250_000),
        InvalidationState(),
    )
    loaders = [FakeLoader(text="x" * 100_000) for _ in range(3)]
    for turn in range(2):
        for number, loader in enumerate(loaders):
            await process.cache.get(f"{number}", COUNTRY, loader.load, 60, kind="recommendations")
            assert loader.calls == turn + 1
    large = FakeLoader(text="x" * 300_000)
    for _ in range(2):
        await process.cache.get("large", COUNTRY, large.load, 60, kind="recommendations")
    assert large.calls == 2


async def test_bodies_of_no_use_once_expired_displace_no_others_and_are_bounded(unreachable: Redis) -> None:
    cache = ResponseCache(RedisStore(ResilientRedis(unreachable)), InvalidationState(), max_bytes=250_000)
    size = BRIEF_BYTES // 10
    kept, *brief = [FakeLoader(text="x" * (100_000 if number == 0 else size)) for number in range(12)]

    async def get(number: int) -> None:
        await cache.get(f"{number}", COUNTRY, brief[number].load, 60, kind="recommendations", keep_expired=False)

    await cache.get("kept", COUNTRY, kept.load, 60, kind="recommendations")
    for number in range(len(brief)):
        await get(number)
    await cache.get("kept", COUNTRY, kept.load, 60, kind="recommendations")
    await get(len(brief) - 1)
    await get(0)
    assert (kept.calls, brief[-1].calls, brief[0].calls) == (1, 1, 2)


async def test_local_cache_works_without_redis(unreachable: Redis) -> None:
    process = SimulatedProcess(
        ResponseCache(RedisStore(ResilientRedis(unreachable)), InvalidationState()), InvalidationState()
    )
    loader = FakeLoader()
    assert set(await asyncio.gather(*(process.text(loader) for _ in range(200)))) == {"first"}
    assert loader.calls == 1


async def test_redis_failure_is_counted_and_bypassed(unreachable: Redis) -> None:
    invalidation = InvalidationState()
    invalidation.resync(0)
    counted = REDIS_ERRORS._value.get()
    process = SimulatedProcess(ResponseCache(RedisStore(ResilientRedis(unreachable)), invalidation), invalidation)
    assert await process.text(FakeLoader()) == "first"
    assert REDIS_ERRORS._value.get() > counted


async def test_silent_redis_costs_little_time() -> None:
    invalidation = InvalidationState()
    invalidation.resync(0)
    async with silent_server() as port, clients.redis(f"redis://127.0.0.1:{port}/0", timeout=5) as client:
        process = SimulatedProcess(ResponseCache(RedisStore(ResilientRedis(client)), invalidation), invalidation)
        began = time.monotonic()
        assert await process.text(FakeLoader()) == "first"
        assert time.monotonic() - began < 1
