"""Redis comes back with an older state: what was outdated before stays outdated."""

from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from core import clients
from core.generation import current_generation
from indexer.invalidation_publisher import publish
from schemas.redis_keys import GENERATION_COUNTER, GENERATION_SERVER
from tests.support.cache import FakeLoader, SimulatedProcess, simulated_process
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode

Snapshot = dict[bytes, tuple[int, bytes]]
"""Milliseconds to live (0 without an end), and value, by key."""


async def save(redis: Redis) -> Snapshot:
    return {key: (max(0, await redis.pttl(key)), await redis.dump(key)) async for key in redis.scan_iter()}


async def restore(redis: Redis, snapshot: Snapshot) -> None:
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.flushdb()
        for key, (milliseconds, value) in snapshot.items():
            pipeline.restore(key, milliseconds, value)
        await pipeline.execute()


@pytest.mark.parametrize("published_since", [0, 1, 3], ids=lambda number: f"{number} published since")
@pytest.mark.parametrize("lost", [1, 3], ids=lambda number: f"{number} lost")
@pytest.mark.parametrize("seen_by", ["a running process", "a new process", "the worker"])
async def test_older_state_of_redis_outdates_all_entries(
    redis: Redis, proxy: FaultProxy, seen_by: str, lost: int, published_since: int
) -> None:
    loader, generation = FakeLoader(), 0
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(simulated_process(stack_client := clients.redis(proxy.url)))
        stack.push_async_callback(stack_client.aclose)
        assert await process.text(loader) == "first"
        snapshot = await save(redis)
        for _ in range(lost):
            generation = await publish(redis, ["country"]) or 0
        loader.text = "second"
        await eventually(lambda: process.invalidation.current == generation)
        if seen_by != "a running process":
            await stack.aclose()
        await proxy.switch(Mode.CUT)
        await restore(redis, snapshot)
        if seen_by == "a new process":
            # As by a Redis that was restarted, of which only the run id tells.
            await redis.set(GENERATION_SERVER, "another")
        for _ in range(published_since):
            await publish(redis, ["tag"], known=generation if seen_by == "the worker" else 0)
        if seen_by == "the worker" and not published_since:
            await current_generation(redis, generation)
        await proxy.switch(Mode.PASS)
        if seen_by == "a running process":
            await eventually(lambda: process.invalidation.connected)
            await assert_served(process, loader, "second")
        async with simulated_process(redis) as another:
            await assert_served(another, loader, "second")


async def assert_served(process: SimulatedProcess, loader: FakeLoader, text: str) -> None:
    async def is_served() -> bool:
        return await process.text(loader) == text

    await eventually(is_served)
    assert await process.text(loader) == text


async def test_generation_stays_while_redis_does(redis: Redis) -> None:
    counter = int(await redis.get(GENERATION_COUNTER))
    assert await current_generation(redis) == await current_generation(redis, counter) == counter


async def test_counter_that_was_passed_leaps_beyond_it(redis: Redis) -> None:
    known = int(await redis.get(GENERATION_COUNTER)) + 1_000_000_000
    assert await current_generation(redis, known) > known
