"""An entry of an API process whose clock was wrong is stored with the time at which it arrived."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from schemas.api.tracking import SessionRequest
from schemas.redis_keys import TRACKING_STREAM
from schemas.tables import BrowsingSession, Event, RecommendationRequest
from tests.support.rows import rows
from tests.support.tracking.entries import PERSON, SESSION, event, request_log
from tests.support.tracking.visits import drain
from tracking import stream
from tracking.stream import StreamEntry
from tracking.times import FIELDS, TOLERANCE
from tracking.visitors import Visitor
from tracking.writers.batches import WRITERS, store
from tracking.writers.sessions import encode_session


def session(received_at: datetime) -> StreamEntry:
    start = SessionRequest.model_validate({"session_id": SESSION, "anonymous_id": PERSON})
    return StreamEntry(stream.SESSION, encode_session(start, Visitor(None, None, None), received_at))


ENTRIES: Mapping[str, tuple[Callable[[datetime], StreamEntry], InstrumentedAttribute[Any]]] = {
    stream.EVENT: (lambda time: event(timestamp=time), Event.timestamp),
    stream.RECOMMENDATION: (lambda time: request_log(created_at=time), RecommendationRequest.created_at),
    stream.SESSION: (session, BrowsingSession.started_at),
}
"""For each kind, an entry of this time, and where the time is stored."""
WRONG = [timedelta(days=400), timedelta(hours=1), timedelta(hours=-1), timedelta(days=-400)]


def test_every_kind_has_a_time() -> None:
    assert FIELDS.keys() == WRITERS.keys() == ENTRIES.keys()


async def append(redis: Redis, entry: StreamEntry, waited: timedelta = timedelta()) -> None:
    milliseconds = round((await stream.server_time(redis) - waited.total_seconds()) * 1000)
    await redis.xadd(TRACKING_STREAM, {entry.kind: entry.body}, id=f"{milliseconds}-0")


async def stored_time(engine: AsyncEngine, column: InstrumentedAttribute[Any]) -> datetime:
    async with engine.connect() as connection:
        time: datetime = (await connection.execute(select(column))).scalar_one()
    return time


@pytest.mark.parametrize("waited", [timedelta(), timedelta(minutes=20)], ids=["soon", "after an outage"])
@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("kind", ENTRIES)
async def test_impossible_time_is_corrected(
    redis: Redis, database: AsyncEngine, kind: str, wrong: timedelta, waited: timedelta
) -> None:
    make, column = ENTRIES[kind]
    appended = datetime.now(UTC) - waited
    await append(redis, make(appended + wrong), waited)
    await drain(redis, database)
    assert abs(await stored_time(database, column) - appended) < TOLERANCE


@pytest.mark.parametrize("kind", ENTRIES)
async def test_time_of_an_entry_that_waited_is_kept(redis: Redis, database: AsyncEngine, kind: str) -> None:
    make, column = ENTRIES[kind]
    time, waited = datetime.now(UTC) - timedelta(hours=30), timedelta(hours=30)
    await append(redis, make(time), waited)
    await drain(redis, database)
    assert await stored_time(database, column) == time


@pytest.mark.parametrize("kind", ENTRIES)
async def test_clock_of_redis_alone_changes_nothing(redis: Redis, database: AsyncEngine, kind: str) -> None:
    make, column = ENTRIES[kind]
    time = datetime.now(UTC)
    await append(redis, make(time), timedelta(days=400))
    await drain(redis, database)
    assert await stored_time(database, column) == time


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_time_of_an_event_that_is_stored_directly_is_corrected(database: AsyncEngine, wrong: timedelta) -> None:
    now = datetime.now(UTC)
    await store(database, [event(timestamp=now + wrong)._replace(age=0.0)])
    assert abs(await stored_time(database, Event.timestamp) - now) < TOLERANCE


async def test_correction_changes_nothing_else(redis: Redis, database: AsyncEngine) -> None:
    long_ago = datetime(1999, 1, 1, tzinfo=UTC)
    entry = event("click_trip", trip_id=7, page_url="https://example.org/חיפוש", timestamp=long_ago)
    await append(redis, entry)
    (read,) = (await stream.read(redis, 10, 0.01)).values()
    assert read.body == entry.body
    await drain(redis, database)
    (row,) = await rows(database, Event)
    said = orjson.loads(entry.body)
    assert (row.trip_id, row.page_url, str(row.event_uuid)) == (7, said["page_url"], said["event_uuid"])
