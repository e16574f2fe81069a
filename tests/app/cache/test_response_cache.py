import asyncio
import time
from collections.abc import Collection

import pytest
from redis.asyncio import Redis

from app.backends.labels import DATABASE_LABEL
from app.backends.redis import MAX_FAILURES, ResilientRedis
from app.cache.invalidation_state import InvalidationState
from app.cache.redis_store import PREFIX, RedisStore
from app.cache.response_cache import PROCESS_SECONDS, ResponseCache
from app.http.errors import ApiError, not_found
from core import clients
from core.errors import BackendUnavailableError
from indexer.invalidation_publisher import publish
from tests.support.cache import COUNTRY, FakeLoader, SimulatedProcess, apply_change, redis_store, simulated_process
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


async def test_body_is_loaded_once(one: SimulatedProcess) -> None:
    loader = FakeLoader()
    assert [await one.text(loader), await one.text(loader)] == ["first", "first"]
    assert loader.calls == 1


async def test_200_concurrent_misses_load_once(one: SimulatedProcess) -> None:
    loader = FakeLoader()
    assert set(await asyncio.gather(*(one.text(loader) for _ in range(200)))) == {"first"}
    assert loader.calls == 1


async def test_200_misses_in_two_processes_load_once(one: SimulatedProcess, other: SimulatedProcess) -> None:
    loader = FakeLoader()
    lookups = [each.text(loader) for _ in range(100) for each in (one, other)]
    assert set(await asyncio.gather(*lookups)) == {"first"}
    assert loader.calls == 1


async def test_processes_share_entries(one: SimulatedProcess, other: SimulatedProcess) -> None:
    loader = FakeLoader()
    loaded = await one.get(loader)
    assert await other.get(loader) == loaded
    assert loader.calls == 1


async def test_change_reaches_all_processes_within_two_seconds(
    redis: Redis, one: SimulatedProcess, other: SimulatedProcess
) -> None:
    loader = FakeLoader()
    for each in (one, other):
        await each.text(loader)
    loader.text = "second"
    changed_at = time.monotonic()
    assert await publish(redis, ["country"])
    for each in (one, other):
        await eventually(lambda each=each: _is(each, loader, "second"))  # type: ignore[misc]
    assert time.monotonic() - changed_at < 2


async def _is(process: SimulatedProcess, loader: FakeLoader, text: str) -> bool:
    return await process.text(loader) == text


async def test_change_of_another_kind_invalidates_nothing(
    redis: Redis, one: SimulatedProcess, other: SimulatedProcess
) -> None:
    loader = FakeLoader()
    await one.text(loader)
    await apply_change(redis, "guide", one, other)
    await one.text(loader)
    await other.text(loader)
    assert loader.calls == 1


async def test_load_before_a_change_is_not_used_after_it(redis: Redis, one: SimulatedProcess) -> None:
    loader = FakeLoader(text="before")
    loader.gate.clear()
    slow = asyncio.create_task(one.text(loader))
    await eventually(lambda: loader.calls == 1)
    await apply_change(redis, "country", one)

    quick = FakeLoader(text="after")
    assert await one.text(quick) == "after"
    loader.gate.set()
    assert await slow == "before"
    assert await one.text(quick) == "after"


async def test_slow_load_does_not_replace_a_newer_entry(
    redis: Redis, one: SimulatedProcess, other: SimulatedProcess
) -> None:
    loader = FakeLoader(text="before")
    loader.gate.clear()
    slow = asyncio.create_task(one.text(loader))
    await eventually(lambda: loader.calls == 1)
    await apply_change(redis, "country", one, other)
    quick = FakeLoader(text="after")
    assert await other.text(quick) == "after"
    loader.gate.set()
    await slow
    async with simulated_process(redis) as third:
        assert await third.text(quick) == "after"
    assert quick.calls == 1


async def test_redis_alone_measures_the_life_of_a_shared_body(
    redis: Redis, one: SimulatedProcess, other: SimulatedProcess
) -> None:
    """So the clocks of the processes that share it need not agree."""
    first, second = FakeLoader(), FakeLoader("second")
    await one.get(first, ttl=60)
    for retained, expected in ((60.5, "first"), (59.5, "second")):
        await redis.pexpire(f"{PREFIX}key", round(retained * 1000))
        async with simulated_process(redis) as late:
            assert (await late.get(second, ttl=60)).identity.decode() == expected


async def test_expired_body_is_loaded_again(one: SimulatedProcess) -> None:
    loader = FakeLoader()
    await one.get(loader, ttl=0.05)
    loader.text = "second"

    async def is_reloaded() -> bool:
        return (await one.get(loader, ttl=0.05)).identity == b"second"

    await eventually(is_reloaded)


async def test_body_is_current_while_it_is_in_redis(redis: Redis, one: SimulatedProcess) -> None:
    assert not one.cache.has_current("key", COUNTRY)
    await one.get(FakeLoader(), ttl=PROCESS_SECONDS + 0.5)
    await asyncio.sleep(PROCESS_SECONDS)
    assert one.cache.get_local("key", COUNTRY) is None
    assert one.cache.has_current("key", COUNTRY)
    await asyncio.sleep(0.6)
    assert not one.cache.has_current("key", COUNTRY)


async def test_body_of_the_process_is_current_without_messages(redis: Redis) -> None:
    async with redis_store(redis) as store:
        cache = ResponseCache(store, InvalidationState())
        await cache.get("key", COUNTRY, FakeLoader().load, 60)
        assert cache.has_current("key", COUNTRY)
        await asyncio.sleep(PROCESS_SECONDS)
        assert not cache.has_current("key", COUNTRY)


async def test_body_is_not_current_while_commands_to_redis_fail(redis: Redis, proxy: FaultProxy) -> None:
    async with clients.redis(proxy.url) as client:
        resilient = ResilientRedis(client, seconds=0.05)
        async with simulated_process(redis) as process:
            cache = ResponseCache(RedisStore(resilient), process.invalidation)
            await cache.get("key", COUNTRY, FakeLoader().load, 60)
            await proxy.switch(Mode.STALL)
            for number in range(MAX_FAILURES):
                await cache.get(f"other {number}", COUNTRY, FakeLoader().load, 60)
            assert cache.has_current("key", COUNTRY)
            await asyncio.sleep(PROCESS_SECONDS)
            assert process.invalidation.connected
            assert not cache.has_current("key", COUNTRY)
            await proxy.switch(Mode.PASS)

            async def is_current_again() -> bool:
                await cache.get("another", COUNTRY, FakeLoader().load, 0.001)
                return cache.has_current("key", COUNTRY)

            await eventually(is_current_again)
            await cache.close()
        await resilient.close()


async def test_body_is_not_current_after_a_change(redis: Redis, one: SimulatedProcess) -> None:
    loader = FakeLoader()
    await one.get(loader)
    await apply_change(redis, "guide", one)
    assert one.cache.has_current("key", COUNTRY)
    await apply_change(redis, "country", one)
    assert not one.cache.has_current("key", COUNTRY)
    loader.error = BackendUnavailableError(DATABASE_LABEL)
    assert (await one.get(loader)).stale
    assert not one.cache.has_current("key", COUNTRY)


async def test_not_found_is_not_cached(redis: Redis, one: SimulatedProcess) -> None:
    loader = FakeLoader()
    await one.get(loader)
    await apply_change(redis, "country", one)
    loader.error = not_found("Country")
    for _ in range(2):
        with pytest.raises(ApiError, match="Country not found"):
            await one.get(loader)
    assert loader.calls == 3


async def test_failed_load_releases_its_lock(one: SimulatedProcess, other: SimulatedProcess) -> None:
    failing = FakeLoader(error=not_found("Country"))
    with pytest.raises(ApiError, match="Country not found"):
        await one.get(failing)
    began = time.monotonic()
    assert await other.text(FakeLoader()) == "first"
    assert time.monotonic() - began < 0.5


async def test_load_takes_two_round_trips(one: SimulatedProcess, sent: list[Collection[bytes]]) -> None:
    # The first one loads the script into Redis.
    await one.get(FakeLoader())
    sent.clear()
    await one.get(FakeLoader(), key="other")
    assert len([commands for commands in sent if PREFIX.encode() in b"".join(commands)]) == 2


async def test_cancelled_caller_does_not_affect_others(one: SimulatedProcess) -> None:
    loader = FakeLoader()
    loader.gate.clear()
    first, second = (asyncio.create_task(one.text(loader)) for _ in range(2))
    await eventually(lambda: loader.calls == 1)
    first.cancel()
    loader.gate.set()
    assert await second == "first"
    assert loader.calls == 1


async def test_lock_of_a_dead_process_is_waited_for_briefly(redis: Redis, one: SimulatedProcess) -> None:
    async with redis_store(redis) as store:
        locked, _ = await store.lock_and_get("key", one.invalidation.current, 0)
    assert locked
    began = time.monotonic()
    assert await one.text(FakeLoader()) == "first"
    assert time.monotonic() - began < 2


async def test_bodies_expire_soon_after_a_change(redis: Redis) -> None:
    async with simulated_process(redis, replica_lag_seconds=60) as process:
        await apply_change(redis, "country", process)
        await process.get(FakeLoader(), ttl=3600)
        async with redis_store(redis) as store:
            _, entry = await store.lock_and_get("key", 0, 0)
    assert entry
    assert entry.fresh_seconds <= PROCESS_SECONDS


async def test_body_whose_load_began_soon_after_a_change_expires_soon(redis: Redis) -> None:
    seconds = 0.5
    async with simulated_process(redis, replica_lag_seconds=seconds) as process:
        await apply_change(redis, "country", process)
        loader = FakeLoader()
        loader.gate.clear()
        getting = asyncio.create_task(process.get(loader, ttl=3600))
        await eventually(lambda: loader.calls == 1)
        assert process.invalidation.changed_within(seconds, COUNTRY)
        await eventually(lambda: not process.invalidation.changed_within(seconds, COUNTRY))
        loader.gate.set()
        await getting
        async with redis_store(redis) as store:
            _, entry = await store.lock_and_get("key", 0, 0)
    assert entry
    assert entry.fresh_seconds <= PROCESS_SECONDS
