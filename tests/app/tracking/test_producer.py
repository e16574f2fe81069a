"""Events take one round trip to Redis, the direct path during outages, and never exceed the limit."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import orjson
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.tracking.producer import LOST, MAX_PENDING
from core.configuration.settings import Settings
from schemas.tables import DeadEvent, Event, RecommendationRequest, TripInteraction
from tests.support.api.serving import serving
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.rows import rows
from tests.support.tracking.visits import FULL_EVENT, SESSION, drain, event, open_producer, request_log
from tracking import stream

CPU_BUDGET = 0.005
"""Seconds of a batch of 100 events."""


def bodies(count: int) -> list[bytes]:
    return [
        orjson.dumps({"event_uuid": uuid4(), "event_type": "page_view", "session_id": SESSION, "anonymous_id": SESSION})
        for _ in range(count)
    ]


async def test_batch_takes_one_round_trip(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with FaultProxy(settings.redis_url) as proxy, open_producer(proxy.url, settings.database_url) as producer:
        await producer.publish_events(bodies(1))
        (connection,) = proxy.connections
        before = len(connection.sent)
        await producer.publish_events(bodies(100))
        sent = bytes(connection.sent[before:])
    assert sent.count(b"EVALSHA") == 1
    assert sent.startswith(b"*109\r\n")
    assert await stream.length(redis) == 101


async def test_concurrent_batches_share_the_next_round_trip(
    settings: Settings, database: AsyncEngine, redis: Redis
) -> None:
    async with FaultProxy(settings.redis_url) as proxy, open_producer(proxy.url, settings.database_url) as producer:
        await producer.publish_events(bodies(1))
        (connection,) = proxy.connections
        before = len(connection.sent)
        await asyncio.gather(*(producer.publish_events(bodies(1)) for _ in range(50)))
        assert bytes(connection.sent[before:]).count(b"EVALSHA") == 1
    assert await stream.length(redis) == 51


async def test_cancelled_caller_does_not_affect_others(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with open_producer(settings.redis_url, settings.database_url) as producer:
        cancelled, other = (asyncio.create_task(producer.publish_events(bodies(1))) for _ in range(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        await other
        await producer.publish_events(bodies(1))
    assert cancelled.cancelled()
    assert await stream.length(redis) == 3


async def test_batch_of_100_events_costs_little(settings: Settings, database: AsyncEngine) -> None:
    async with serving(settings) as api:
        costs = []
        for _ in range(10):
            body = orjson.dumps({"events": [FULL_EVENT] * 100})
            began = time.process_time()
            response = await api.post("/api/events/batch", content=body, headers={"content-type": "application/json"})
            costs.append(time.process_time() - began)
            assert response.json()["processed"] == 100
    assert min(costs) < CPU_BUDGET


async def test_full_stream_rejects_events(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    narrow = settings.model_copy(update={"tracking_limit": 150})
    async with serving(narrow) as api:
        batch = {"events": [event()] * 100}
        assert (await api.post("/api/events/batch", json=batch)).status_code == 202
        refused = await api.post("/api/events/batch", json=batch)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) > 0
        assert await stream.length(redis) == 100
        assert (await api.post("/api/events", json=event())).status_code == 202
        await drain(redis, database)
        assert (await api.post("/api/events/batch", json=batch)).status_code == 202


async def test_stream_limit_holds_under_concurrency(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with open_producer(settings.redis_url, settings.database_url, limit=100) as producer:
        taken = await asyncio.gather(*(producer.publish_events(bodies(9)) for _ in range(40)), return_exceptions=True)
    assert sum(result is None for result in taken) == 11
    assert await stream.length(redis) == 99


async def test_full_stream_has_room_for_request_logs(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with open_producer(settings.redis_url, settings.database_url, limit=100) as producer:
        await producer.publish_events(bodies(100))
        await producer.publish_request_logs([request_log()])
        assert await stream.length(redis) == 101


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.STALL, Mode.RESET])
async def test_without_redis_events_are_stored_directly(settings: Settings, database: AsyncEngine, mode: Mode) -> None:
    async with FaultProxy(settings.redis_url) as broken:
        await broken.switch(mode)
        async with serving(settings.model_copy(update={"redis_url": broken.url})) as api:
            batch = {"events": [event(position=position) for position in range(20)]}
            assert (await api.post("/api/events/batch", json=batch)).status_code == 202
            assert (await api.post("/api/events", json=FULL_EVENT)).status_code == 202
    positions = [row.position_in_results for row in await rows(database, Event)]
    assert positions == [*range(20), FULL_EVENT["position"]]
    (trip,) = await rows(database, TripInteraction)
    assert trip.click_count == 1


async def test_read_only_standby_is_unavailable(settings: Settings, database: AsyncEngine) -> None:
    async with FaultProxy(settings.redis_url) as broken:
        await broken.switch(Mode.CUT)
        async with read_only(database), serving(settings.model_copy(update={"redis_url": broken.url})) as api:
            answer = await api.post("/api/events", json=event())
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


READ_ONLY_FUNCTION = """
CREATE FUNCTION fail_as_a_standby() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'cannot execute INSERT in a read-only transaction' USING ERRCODE = 'read_only_sql_transaction'; END $$
"""
READ_ONLY_TRIGGER = "CREATE TRIGGER standby BEFORE INSERT ON events EXECUTE FUNCTION fail_as_a_standby()"


@asynccontextmanager
async def read_only(database: AsyncEngine) -> AsyncIterator[None]:
    """Have writes of events fail as on a standby; sessions override the database's own default."""
    async with database.begin() as connection:
        await connection.exec_driver_sql(READ_ONLY_FUNCTION)
        await connection.exec_driver_sql(READ_ONLY_TRIGGER)
    try:
        yield
    finally:
        async with database.begin() as connection:
            await connection.exec_driver_sql("DROP FUNCTION fail_as_a_standby CASCADE")


async def test_event_stored_on_both_paths_counts_once(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with FaultProxy(settings.redis_url) as slow, open_producer(slow.url, settings.database_url) as producer:
        await producer.publish_events(bodies(1))
        slow.delay = 1.0
        await slow.switch(Mode.SLOW)
        await producer.publish_events(bodies(1))
        assert len(await rows(database, Event)) == 1
        await slow.switch(Mode.PASS)
        await drain(redis, database)
    assert len(await rows(database, Event)) == 2


async def test_bad_event_on_the_direct_path_harms_no_other(
    settings: Settings, database: AsyncEngine, redis: Redis
) -> None:
    async with FaultProxy(settings.redis_url) as broken, open_producer(broken.url, settings.database_url) as producer:
        await broken.switch(Mode.CUT)
        await producer.publish_events([*bodies(2), b"{}", *bodies(2)])
    assert (len(await rows(database, Event)), len(await rows(database, DeadEvent))) == (4, 1)


async def test_events_are_unavailable_with_both_backends_down(settings: Settings, database: AsyncEngine) -> None:
    async with FaultProxy(settings.redis_url) as redis, FaultProxy(settings.database_url) as postgres:
        broken = settings.model_copy(update={"redis_url": redis.url, "database_url": postgres.url})
        async with serving(broken) as api:
            await redis.switch(Mode.CUT)
            await postgres.switch(Mode.CUT)
            response = await api.post("/api/events", json=event())
            assert response.status_code == 503
            assert response.json()["code"] == "unavailable"
            assert "retry-after" in response.headers
            await redis.switch(Mode.PASS)
            await postgres.switch(Mode.PASS)
            assert (await api.post("/api/events", json=event())).status_code == 202


async def test_direct_path_is_bounded(settings: Settings, database: AsyncEngine) -> None:
    async with (
        FaultProxy(settings.redis_url) as broken,
        serving(settings.model_copy(update={"redis_url": broken.url})) as api,
        database.begin() as connection,
    ):
        await broken.switch(Mode.CUT)
        await connection.execute(text("LOCK TABLE events"))
        began = time.monotonic()
        batch = {"events": [event()] * 100}
        crowd = 1 + MAX_PENDING // 100 + 10
        answers = await asyncio.gather(*(api.post("/api/events/batch", json=batch) for _ in range(crowd)))
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["code"] for answer in answers} == {"overloaded", "unavailable"}
        assert time.monotonic() - began < 10


async def test_lost_request_log_is_counted(settings: Settings, database: AsyncEngine) -> None:
    before = LOST._value.get()
    async with (
        FaultProxy(settings.redis_url) as redis,
        FaultProxy(settings.database_url) as postgres,
        open_producer(redis.url, postgres.url) as producer,
    ):
        await redis.switch(Mode.CUT)
        await producer.publish_request_logs([request_log()])
        assert len(await rows(database, RecommendationRequest)) == 1
        await postgres.switch(Mode.CUT)
        await producer.publish_request_logs([request_log()])
    assert LOST._value.get() == before + 1
