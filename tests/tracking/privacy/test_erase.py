"""A person is forgotten in every place, and nobody else is."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from core.configuration.settings import Settings
from schemas.redis_keys import TRACKING_STREAM
from schemas.tables import Base, BrowsingSession, DeadEvent, Event, RecommendationRequest, TripInteraction, User
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.locks import waits_for_a_lock
from tests.support.rows import rows
from tests.support.tracking.entries import TRIP, event, request_log
from tests.support.tracking.people import (
    BEN,
    BENS_SESSION,
    DANA,
    DANAS_SESSION,
    NOA,
    NOAS_SESSION,
    SHARED,
    capitalise,
    three_people,
    visit,
)
from tracking import stream
from tracking.consumer import store_next_batch
from tracking.privacy.erase import erase_user
from tracking.privacy.subject import find_subject
from tracking.writers.batches import store

PLACES: tuple[type[Base], ...] = (User, BrowsingSession, Event, RecommendationRequest, DeadEvent)


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """A worker that has read something stores it within moments."""
    return settings.model_copy(update={"background_pool_seconds": 0.3, "postgres_connect_seconds": 0.3})


async def everything(engine: AsyncEngine) -> str:
    return str([await rows(engine, table) for table in PLACES])


async def sessions_of(engine: AsyncEngine, table: type[Base]) -> list[Any]:
    return [row.session_id for row in await rows(engine, table)]


async def wait_in_stream(redis: Redis, *entries: stream.StreamEntry) -> None:
    for entry in entries:
        await redis.xadd(TRACKING_STREAM, {entry.kind: entry.body})


async def test_only_the_data_subject_is_erased(quick: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    erased = await erase_user(quick, DANA)
    assert erased == {"users": 1, "sessions": 1, "events": 1, "recommendation_requests": 2, "not_stored_yet": 1}
    assert [row.email for row in await rows(database, User)] == [BEN, NOA]
    assert await sessions_of(database, BrowsingSession) == [BENS_SESSION, NOAS_SESSION]
    assert await sessions_of(database, Event) == [BENS_SESSION, NOAS_SESSION]
    assert len(await rows(database, DeadEvent)) == 2
    left = await everything(database)
    assert not any(sign in left for sign in (DANA, "'dana'", str(DANAS_SESSION)))


async def test_request_logs_are_anonymised(quick: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    await erase_user(quick, DANA)
    owners = [(row.session_id, row.user_id is None) for row in await rows(database, RecommendationRequest)]
    assert sorted(owners, key=str) == [
        (str(BENS_SESSION), False),
        (str(NOAS_SESSION), False),
        (None, True),
        (None, True),
    ]


async def test_trip_counts_are_retained(quick: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    await store(database, [visit(DANAS_SESSION, SHARED, event_type="save_trip", trip_id=TRIP)])
    await erase_user(quick, DANA)
    (trip,) = await rows(database, TripInteraction)
    assert trip.save_count == 1


async def test_erasure_is_idempotent(quick: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    await erase_user(quick, DANA)
    before = await everything(database)
    assert not await erase_user(quick, DANA)
    assert await everything(database) == before


async def test_address_is_case_insensitive(quick: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    await capitalise(database, DANA)
    assert (await erase_user(quick, DANA))["users"] == 1


async def test_session_belongs_to_its_last_user(quick: Settings, database: AsyncEngine) -> None:
    """What a visitor did before logging in belongs to the session, and goes with it."""
    await three_people(database)
    async with database.begin() as connection:
        await connection.execute(
            text("UPDATE sessions SET user_id = (SELECT id FROM users WHERE email = :ben) WHERE session_id = :session"),
            {"ben": BEN, "session": DANAS_SESSION},
        )
    await erase_user(quick, BEN)
    assert await sessions_of(database, BrowsingSession) == [NOAS_SESSION]
    assert await sessions_of(database, Event) == [NOAS_SESSION]


async def test_events_without_session_are_found_by_anonymous_id(quick: Settings, database: AsyncEngine) -> None:
    await store(database, [visit(UUID(int=99), SHARED)])
    await three_people(database)
    await erase_user(quick, DANA)
    assert UUID(int=99) not in await sessions_of(database, Event)


async def test_pending_entries_are_erased(quick: Settings, database: AsyncEngine, redis: Redis) -> None:
    await three_people(database)
    theirs = [visit(DANAS_SESSION, SHARED), visit(UUID(int=99), SHARED), request_log(session_id=str(DANAS_SESSION))]
    others = [visit(BENS_SESSION, SHARED), event(), request_log(session_id=str(NOAS_SESSION))]
    await wait_in_stream(redis, *theirs, *others)
    assert (await erase_user(quick, DANA))["not_stored_yet"] == len(theirs) + 1
    assert [entry async for _, entry in stream.scan(redis)] == others


async def overtaken(settings: Settings, database: AsyncEngine, redis: Redis) -> asyncio.Task[Counter[str]]:
    """An erasure in its wait; a worker has stored what it had read before that was taken out of the stream."""
    await three_people(database)
    entry = visit(DANAS_SESSION, SHARED)
    await wait_in_stream(redis, entry)
    erasing = asyncio.create_task(erase_user(settings, DANA))

    async def is_taken_out() -> bool:
        return await stream.length(redis) == 0

    await eventually(is_taken_out)
    await store(database, [entry])
    return erasing


async def test_entries_in_the_worker_are_erased(quick: Settings, database: AsyncEngine, redis: Redis) -> None:
    erasing = await overtaken(quick, database, redis)
    assert (await erasing)["events"] == 2
    assert str(DANAS_SESSION) not in await everything(database)


async def test_interrupted_erasure_can_be_repeated(quick: Settings, database: AsyncEngine, redis: Redis) -> None:
    erasing = await overtaken(quick.model_copy(update={"background_pool_seconds": 60}), database, redis)
    erasing.cancel()
    await asyncio.wait([erasing])
    assert (await erase_user(quick, DANA))["events"] == 2
    assert str(DANAS_SESSION) not in await everything(database)


async def test_all_pages_of_the_stream_are_scanned(database: AsyncEngine, redis: Redis) -> None:
    entries = [event() for _ in range(25)]
    await wait_in_stream(redis, *entries)
    assert [entry async for _, entry in stream.scan(redis, page=10)] == entries


async def test_failure_erases_nothing(quick: Settings, database: AsyncEngine, redis: Redis) -> None:
    await three_people(database)
    waits = visit(DANAS_SESSION, SHARED)
    await wait_in_stream(redis, waits)
    before = await everything(database)
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE bookings (user_id integer REFERENCES users)"))
        await connection.execute(text("INSERT INTO bookings SELECT id FROM users WHERE email = :dana"), {"dana": DANA})
    try:
        with pytest.raises(DBAPIError, match="bookings"):
            await erase_user(quick, DANA)
    finally:
        async with database.begin() as connection:
            await connection.execute(text("DROP TABLE bookings"))
    assert await everything(database) == before
    assert [entry async for _, entry in stream.scan(redis)] == [waits]


async def test_erased_visitor_continues_as_a_new_user(quick: Settings, database: AsyncEngine, redis: Redis) -> None:
    await three_people(database)
    await erase_user(quick, DANA)
    await wait_in_stream(redis, visit(DANAS_SESSION, SHARED))
    await store_next_batch(redis, database, wait_seconds=0.01)
    (latest,) = [row for row in await rows(database, Event) if row.session_id == DANAS_SESSION]
    assert latest.user_id is None


async def test_log_does_not_contain_personal_data(quick: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    with capture_logs() as lines:
        await erase_user(quick, DANA)
    (line,) = lines
    assert (line["event"], line["user_ids"], line["sessions"]) == ("user_erased", [1], 1)
    assert "dana" not in str(line)


@pytest.mark.parametrize("path", ["/api/session/start", "/api/user/identify"])
async def test_visitor_during_erasure_becomes_a_new_user(quick: Settings, database: AsyncEngine, path: str) -> None:
    await three_people(database)
    visit = {"session_id": str(UUID(int=99)), "anonymous_id": str(SHARED)}
    async with serving(quick) as api:
        async with database.begin() as connection:
            subject = await find_subject(connection, DANA)
            assert subject is not None
            coming = asyncio.create_task(api.post(path, json=visit))
            await eventually(lambda: waits_for_a_lock(database))
            for table, theirs in subject.row_filters().items():
                await connection.execute(delete(table).where(theirs))
        answer = await coming
    assert answer.status_code == 200
    assert answer.json()["user_id"] not in subject.users
