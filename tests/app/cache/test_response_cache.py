import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from app.backends.redis import ResilientRedis
from app.cache.invalidation import InvalidationState
from app.cache.redis_store import REDIS_ERRORS, RedisStore
from app.cache.response_cache import PROCESS_SECONDS, STALE_SECONDS, ResponseCache
from app.http.errors import ApiError, not_found
from core import clients
from core.errors import BackendUnavailableError
from indexer.invalidation import publish
from tests.support.api.silent_server import silent_server
from tests.support.cache import COUNTRY, FakeLoader, SimulatedProcess, process
from tests.support.eventually import eventually


@pytest.fixture
async def redis(redis: Redis) -> Redis:
    await redis.flushdb()
    # The first number after a lost counter outdates everything.
    await publish(redis, [])
    return redis


@pytest.fixture
async def one(redis: Redis) -> AsyncIterator[SimulatedProcess]:
    async with process(redis) as held:
        yield held


@pytest.fixture
async def other(redis: Redis) -> AsyncIterator[SimulatedProcess]:
    async with process(redis) as held:
        yield held


async def changed(redis: Redis, kind: str, *processes: SimulatedProcess) -> None:
    """All processes have heard."""
    assert await publish(redis, [kind])
    heard = int(await redis.get("smarttrip:generation") or 0)
    await eventually(lambda: all(each.generations.current == heard for each in processes))


async def test_body_is_loaded_once(one: SimulatedProcess) -> None:
    source = FakeLoader()
    assert [await one.text(source), await one.text(source)] == ["first", "first"]
    assert source.made == 1


async def test_200_concurrent_misses_load_once(one: SimulatedProcess) -> None:
    source = FakeLoader()
    assert set(await asyncio.gather(*(one.text(source) for _ in range(200)))) == {"first"}
    assert source.made == 1


async def test_200_misses_in_two_processes_load_once(one: SimulatedProcess, other: SimulatedProcess) -> None:
    source = FakeLoader()
    asked = [each.text(source) for _ in range(100) for each in (one, other)]
    assert set(await asyncio.gather(*asked)) == {"first"}
    assert source.made == 1


async def test_processes_share_entries(one: SimulatedProcess, other: SimulatedProcess) -> None:
    source = FakeLoader()
    made = await one.get(source)
    assert await other.get(source) == made
    assert source.made == 1


async def test_change_reaches_all_processes_within_two_seconds(
    redis: Redis, one: SimulatedProcess, other: SimulatedProcess
) -> None:
    source = FakeLoader()
    for each in (one, other):
        await each.text(source)
    source.text = "second"
    changed_at = time.monotonic()
    assert await publish(redis, ["country"])
    for each in (one, other):
        await eventually(lambda each=each: _is(each, source, "second"))  # type: ignore[misc]
    assert time.monotonic() - changed_at < 2


async def _is(held: SimulatedProcess, source: FakeLoader, text: str) -> bool:
    return await held.text(source) == text


async def test_change_of_another_kind_invalidates_nothing(
    redis: Redis, one: SimulatedProcess, other: SimulatedProcess
) -> None:
    source = FakeLoader()
    await one.text(source)
    await changed(redis, "guide", one, other)
    await one.text(source)
    await other.text(source)
    assert source.made == 1


async def test_load_before_a_change_is_not_used_after_it(redis: Redis, one: SimulatedProcess) -> None:
    source = FakeLoader(text="before")
    source.gate.clear()
    slow = asyncio.create_task(one.text(source))
    await eventually(lambda: source.made == 1)
    await changed(redis, "country", one)

    quick = FakeLoader(text="after")
    assert await one.text(quick) == "after"
    source.gate.set()
    assert await slow == "before"
    assert await one.text(quick) == "after"


async def test_slow_load_does_not_replace_a_newer_entry(
    redis: Redis, one: SimulatedProcess, other: SimulatedProcess
) -> None:
    source = FakeLoader(text="before")
    source.gate.clear()
    slow = asyncio.create_task(one.text(source))
    await eventually(lambda: source.made == 1)
    await changed(redis, "country", one, other)
    quick = FakeLoader(text="after")
    assert await other.text(quick) == "after"
    source.gate.set()
    await slow
    async with process(redis) as third:
        assert await third.text(quick) == "after"
    assert quick.made == 1


async def test_expired_body_is_loaded_again(one: SimulatedProcess) -> None:
    source = FakeLoader()
    await one.get(source, ttl=0.05)
    source.text = "second"

    async def made_again() -> bool:
        return (await one.get(source, ttl=0.05)).identity == b"second"

    await eventually(made_again)


async def test_stale_body_is_served_when_loading_fails(redis: Redis, one: SimulatedProcess) -> None:
    source = FakeLoader()
    fresh = await one.get(source)
    await changed(redis, "country", one)
    source.error = BackendUnavailableError("the database")
    kept = await one.get(source)
    assert (kept.identity, kept.stale, fresh.stale) == (fresh.identity, True, False)


async def test_stale_body_of_another_process_is_served(redis: Redis, one: SimulatedProcess) -> None:
    source = FakeLoader()
    await one.get(source)
    await changed(redis, "country", one)
    source.error = BackendUnavailableError("the database")
    async with process(redis) as late:
        kept = await late.get(source)
    assert (kept.identity, kept.stale) == (b"first", True)


async def test_failed_load_is_not_retried_by_every_request(redis: Redis, one: SimulatedProcess) -> None:
    source = FakeLoader()
    await one.get(source)
    await changed(redis, "country", one)
    source.error = BackendUnavailableError("the database")
    began = time.monotonic()
    for _ in range(50):
        assert (await one.get(source)).stale
    assert time.monotonic() - began < STALE_SECONDS
    assert source.made == 2


async def test_failure_without_a_stale_body_is_raised(one: SimulatedProcess) -> None:
    with pytest.raises(BackendUnavailableError):
        await one.get(FakeLoader(error=BackendUnavailableError("the database")))


async def test_not_found_is_not_cached(redis: Redis, one: SimulatedProcess) -> None:
    source = FakeLoader()
    await one.get(source)
    await changed(redis, "country", one)
    source.error = not_found("Country")
    for _ in range(2):
        with pytest.raises(ApiError, match="Country not found"):
            await one.get(source)
    assert source.made == 3


async def test_failed_load_releases_its_lock(one: SimulatedProcess, other: SimulatedProcess) -> None:
    failing = FakeLoader(error=not_found("Country"))
    with pytest.raises(ApiError, match="Country not found"):
        await one.get(failing)
    began = time.monotonic()
    assert await other.text(FakeLoader()) == "first"
    assert time.monotonic() - began < 0.5


async def test_cancelled_caller_does_not_affect_others(one: SimulatedProcess) -> None:
    source = FakeLoader()
    source.gate.clear()
    first, second = (asyncio.create_task(one.text(source)) for _ in range(2))
    await eventually(lambda: source.made == 1)
    first.cancel()
    source.gate.set()
    assert await second == "first"
    assert source.made == 1


async def test_lock_of_a_dead_process_is_waited_for_briefly(redis: Redis, one: SimulatedProcess) -> None:
    claimed, _ = await RedisStore(ResilientRedis(redis)).claim("key", one.generations.current)
    assert claimed
    began = time.monotonic()
    assert await one.text(FakeLoader()) == "first"
    assert time.monotonic() - began < 2


async def test_bodies_expire_soon_after_a_change(redis: Redis) -> None:
    async with process(redis, settle_seconds=60) as held:
        await changed(redis, "country", held)
        await held.get(FakeLoader(), ttl=3600)
        record = await RedisStore(ResilientRedis(redis)).read("key")
    assert record
    assert record.fresh_until - time.time() <= PROCESS_SECONDS


async def test_local_cache_is_bounded_by_bytes(unreachable: Redis) -> None:
    held = SimulatedProcess(
        ResponseCache(RedisStore(ResilientRedis(unreachable)), InvalidationState(), max_bytes=250_000),
        InvalidationState(),
    )
    sources = [FakeLoader(text="x" * 100_000) for _ in range(3)]
    for turn in range(2):
        for number, source in enumerate(sources):
            await held.cache.get(f"{number}", COUNTRY, source.fill, 60, compress=False)
            assert source.made == turn + 1
    large = FakeLoader(text="x" * 300_000)
    for _ in range(2):
        await held.cache.get("large", COUNTRY, large.fill, 60, compress=False)
    assert large.made == 2


@pytest.fixture
async def unreachable(unused_tcp_port: int) -> AsyncIterator[Redis]:
    async with clients.redis(f"redis://127.0.0.1:{unused_tcp_port}/0") as client:
        yield client


async def test_local_cache_works_without_redis(unreachable: Redis) -> None:
    held = SimulatedProcess(
        ResponseCache(RedisStore(ResilientRedis(unreachable)), InvalidationState()), InvalidationState()
    )
    source = FakeLoader()
    assert set(await asyncio.gather(*(held.text(source) for _ in range(200)))) == {"first"}
    assert source.made == 1


async def test_redis_failure_is_counted_and_bypassed(unreachable: Redis) -> None:
    generations = InvalidationState()
    generations.catch_up(0)
    counted = REDIS_ERRORS._value.get()
    held = SimulatedProcess(ResponseCache(RedisStore(ResilientRedis(unreachable)), generations), generations)
    assert await held.text(FakeLoader()) == "first"
    assert REDIS_ERRORS._value.get() > counted


async def test_silent_redis_costs_little_time() -> None:
    generations = InvalidationState()
    generations.catch_up(0)
    async with silent_server() as port, clients.redis(f"redis://127.0.0.1:{port}/0", timeout=5) as client:
        held = SimulatedProcess(ResponseCache(RedisStore(ResilientRedis(client)), generations), generations)
        began = time.monotonic()
        assert await held.text(FakeLoader()) == "first"
        assert time.monotonic() - began < 1
