"""The consumer during crashes of workers and outages of its backends."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import orjson
import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.concurrency.tasks import cancel_and_wait
from core.configuration.settings import Settings
from schemas.redis_keys import TRACKING_STREAM
from schemas.tables import DeadEvent, Event, RecommendationRequest, TripInteraction
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.rows import rows
from tests.support.tracking.entries import TRIP, event, request_log
from tracking import consumer, stream
from tracking.consumer import FAILURES, STREAM_LENGTH, consume_stream, store_next_batch
from tracking.stream import StreamEntry
from tracking.writers.batches import store

ENTRIES = 20


async def leave(redis: Redis, entries: Sequence[StreamEntry]) -> None:
    async with redis.pipeline() as pipeline:
        for kind, body, *_ in entries:
            pipeline.xadd(TRACKING_STREAM, {kind: body})
        await pipeline.execute()


@asynccontextmanager
async def following(redis_url: str, postgres_url: str) -> AsyncIterator[None]:
    engine = clients.postgres(postgres_url)
    async with clients.redis(redis_url, timeout=5) as redis:
        task = asyncio.create_task(consume_stream(redis, engine))
        try:
            yield
            assert not task.done(), task
        finally:
            await cancel_and_wait([task])
            await engine.dispose()


@pytest.fixture
async def follower(settings: Settings, database: AsyncEngine) -> AsyncIterator[None]:
    async with following(settings.redis_url, settings.database_url):
        yield


async def stored(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(Event)) or 0


async def until_drained(redis: Redis, within: float = 10.0) -> None:
    async def empty() -> bool:
        return await stream.length(redis) == 0

    await eventually(empty, within)


def failures() -> float:
    return sum(sample.value for sample in next(iter(FAILURES.collect())).samples if sample.name.endswith("_total"))


async def until_it_fails() -> None:
    before = failures()
    await eventually(lambda: failures() > before, within=10)


def ids(entries: Sequence[StreamEntry]) -> list[str]:
    return [orjson.loads(entry.body)["event_uuid"] for entry in entries]


async def test_entries_are_stored_and_removed(database: AsyncEngine, redis: Redis, follower: None) -> None:
    await leave(redis, [event(), request_log()])
    await until_drained(redis)
    await leave(redis, [event()])
    await until_drained(redis)
    assert await stored(database) == 2
    assert len(await rows(database, RecommendationRequest)) == 1


async def test_bad_entry_does_not_block_others(database: AsyncEngine, redis: Redis, follower: None) -> None:
    await leave(redis, [event(), event("teleported"), StreamEntry("", b""), event()])
    await until_drained(redis)
    assert await stored(database) == 2
    assert len(await rows(database, DeadEvent)) == 2


async def test_crash_before_removal_counts_nothing_twice(database: AsyncEngine, redis: Redis) -> None:
    await leave(redis, [event("click_trip", trip_id=TRIP) for _ in range(5)])
    await store(database, list((await stream.read(redis, 3, 1)).values()))
    assert await store_next_batch(redis, database) == 5
    (trip,) = await rows(database, TripInteraction)
    assert (trip.click_count, await stored(database), await stream.length(redis)) == (5, 5, 0)


WORKER = """
import asyncio, sys
from core import clients
from tracking import consumer
consumer.BATCH_SIZE = 20
redis, engine = clients.redis(sys.argv[1], timeout=5), clients.postgres(sys.argv[2])
asyncio.run(consumer.consume_stream(redis, engine))
"""


async def test_killed_workers_lose_and_repeat_nothing(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    clicks = [event("click_trip", trip_id=TRIP) for _ in range(3000)]
    await leave(redis, clicks)
    for part in range(1, 4):
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, settings.redis_url, settings.database_url
        )

        async def got_on(part: int = part) -> bool:
            return await stored(database) >= part * 200

        await eventually(got_on, within=30)
        worker.kill()
        await worker.wait()
    assert await stream.length(redis) > 0
    async with following(settings.redis_url, settings.database_url):
        await until_drained(redis)
    assert [str(row.event_uuid) for row in await rows(database, Event)] == ids(clicks)
    (trip,) = await rows(database, TripInteraction)
    assert trip.click_count == 3000


async def test_two_workers_preserve_the_order_of_a_session(
    settings: Settings, database: AsyncEngine, redis: Redis, follower: None
) -> None:
    sessions = [uuid4() for _ in range(3)]
    entries = [event(session_id=sessions[number % 3]) for number in range(3000)]
    async with following(settings.redis_url, settings.database_url):
        for first in range(0, len(entries), 100):
            await leave(redis, entries[first : first + 100])
        await until_drained(redis)
    assert [str(row.event_uuid) for row in await rows(database, Event)] == ids(entries)


async def test_outage_of_postgres_loses_nothing(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with FaultProxy(settings.database_url) as postgres, following(settings.redis_url, postgres.url):
        await leave(redis, [event()])
        await until_drained(redis)
        await postgres.switch(Mode.CUT)
        entries = [event(event_uuid=UUID(int=number)) for number in range(50)]
        await leave(redis, entries)
        await until_it_fails()
        assert await stream.length(redis) == 50
        await postgres.switch(Mode.PASS)
        await until_drained(redis)
    assert [str(row.event_uuid) for row in await rows(database, Event)][1:] == ids(entries)
    assert await rows(database, DeadEvent) == []


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.RESET, Mode.STALL])
async def test_outage_of_redis_loses_nothing(
    settings: Settings, database: AsyncEngine, redis: Redis, mode: Mode
) -> None:
    async with FaultProxy(settings.redis_url) as broken, following(broken.url, settings.database_url):
        await leave(redis, [event()])
        await until_drained(redis)
        await broken.switch(mode)
        await leave(redis, [event() for _ in range(50)])
        await until_it_fails()
        await broken.switch(Mode.PASS)
        await until_drained(redis)
    assert await stored(database) == 51


async def test_worker_continues_after_a_flush(database: AsyncEngine, redis: Redis, follower: None) -> None:
    await leave(redis, [event()])
    await until_drained(redis)
    await redis.flushdb()
    await leave(redis, [event()])
    await until_drained(redis)
    assert await stored(database) == 2


async def test_stream_length_is_reported_while_nothing_can_be_stored(
    redis: Redis, database: AsyncEngine, settings: Settings
) -> None:
    await leave(redis, [event() for _ in range(3)])
    STREAM_LENGTH.set(0)
    unreachable = clients.postgres("postgresql+asyncpg://nobody@127.0.0.1:9/nothing")
    with pytest.raises(ConnectionError):
        await store_next_batch(redis, unreachable, wait_seconds=0.01)
    assert STREAM_LENGTH._value.get() == 3
    await unreachable.dispose()


async def test_entries_that_come_one_by_one_are_stored_together(
    redis: Redis, database: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []

    async def count_batch(redis: Redis, engine: AsyncEngine) -> int:
        size = await store_next_batch(redis, engine)
        batches.append(size)
        return size

    monkeypatch.setattr(consumer, "store_next_batch", count_batch)
    async with following(settings.redis_url, settings.database_url):
        began = time.monotonic()
        for _ in range(ENTRIES):
            await leave(redis, [event()])
            await asyncio.sleep(0.01)
        await eventually(lambda: sum(batches) == ENTRIES)
        seconds = time.monotonic() - began
    assert len(batches) <= 2 + seconds / consumer.PAUSE_SECONDS
