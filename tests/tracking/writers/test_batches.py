"""Each entry is stored once in effect, and none stands in the way of the others."""

import asyncio
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import DeadEvent, Event, RecommendationRequest, TripInteraction
from tests.support.rows import rows
from tests.support.tracking.entries import TRIP, event, request_log
from tracking.dead_letters import retry_dead_events
from tracking.stream import EVENT, StreamEntry
from tracking.writers.batches import store


async def test_repeated_event_has_one_effect(database: AsyncEngine) -> None:
    click = event("click_trip", trip_id=TRIP)
    await store(database, [click, click])
    await store(database, [click])
    await store(database, [event("click_trip", trip_id=TRIP), click])
    (trip,) = await rows(database, TripInteraction)
    assert trip.click_count == len(await rows(database, Event)) == 2


async def test_concurrently_stored_event_has_one_effect(database: AsyncEngine) -> None:
    clicks = [event("click_trip", trip_id=trip) for trip in (1, 2, 3)]
    await asyncio.gather(*(store(database, order) for order in [clicks, clicks[::-1]] * 5))
    assert [trip.click_count for trip in await rows(database, TripInteraction)] == [1, 1, 1]


async def test_events_and_request_logs_share_a_batch(database: AsyncEngine) -> None:
    await store(database, [event(), request_log(), event()])
    assert len(await rows(database, Event)) == 2
    assert len(await rows(database, RecommendationRequest)) == 1


POISON = {
    "no JSON": StreamEntry(EVENT, b"{"),
    "no object": StreamEntry(EVENT, b"5"),
    "no text": StreamEntry(EVENT, b"\xff\xfe"),
    "NUL": StreamEntry(EVENT, b"\0"),
    "escaped NUL": event(page_url="a\0b"),
    "unknown type": event("teleported"),
    "no session": event(session_id=None),
    "malformed id": event(anonymous_id="me"),
    "trip beyond the column": event("click_trip", trip_id=2**31),
    "score beyond the column": event(score_at_time=1e9),
    "time that is none": event(timestamp="once upon a time"),
    "long source": event(source="x" * 51),
    "nested too deeply": StreamEntry(EVENT, b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
    "unknown kind": StreamEntry("invoice", b"{}"),
    "request without result": request_log(result_trip_ids=None),
    "request of a long month": request_log(month="all"),
}


@pytest.mark.parametrize("name", POISON)
async def test_rejected_entry_is_dead_lettered_with_its_reason(database: AsyncEngine, name: str) -> None:
    good = [event(event_uuid=uuid4()) for _ in range(7)]
    await store(database, [*good[:3], POISON[name], *good[3:]])
    ids = [str(row.event_uuid) for row in await rows(database, Event)]
    assert ids == [orjson.loads(entry.body)["event_uuid"] for entry in good]
    (dead,) = await rows(database, DeadEvent)
    assert dead.body["kind"] == POISON[name].kind
    assert dead.reason


async def test_each_bad_entry_is_dead_lettered(database: AsyncEngine) -> None:
    entries = [event() if number % 3 else event("teleported") for number in range(20)]
    await store(database, entries)
    assert (len(await rows(database, Event)), len(await rows(database, DeadEvent))) == (13, 7)


async def test_repeated_bad_entry_is_dead_lettered_once(database: AsyncEngine) -> None:
    bad = event("teleported")
    await store(database, [bad])
    await store(database, [bad])
    assert len(await rows(database, DeadEvent)) == 1


async def test_dead_letter_can_be_retried(database: AsyncEngine) -> None:
    await store(database, [event("teleported", trip_id=TRIP), event("fainted")])
    add = text(
        "INSERT INTO event_types (id, name, name_he, category_id, created_at)"
        " SELECT 9999, 'teleported', '', min(id), now() FROM event_categories"
    )
    async with database.begin() as connection:
        await connection.execute(add)
    try:
        assert await retry_dead_events(database) == 1
        assert await retry_dead_events(database) == 0
        (stored,), (dead,) = await rows(database, Event), await rows(database, DeadEvent)
        assert (stored.event_type_id, stored.trip_id) == (9999, TRIP)
        assert "fainted" in dead.body["entry"]
    finally:
        async with database.begin() as connection:
            await connection.execute(text("TRUNCATE events"))
            await connection.execute(text("DELETE FROM event_types WHERE id = 9999"))


async def test_database_failure_dead_letters_nothing(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await connection.execute(text("ALTER TABLE trip_interactions RENAME TO elsewhere"))
    try:
        with pytest.raises(DBAPIError):
            await store(database, [event(), event("teleported")])
    finally:
        async with database.begin() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO trip_interactions"))
    assert await rows(database, DeadEvent) == []
    assert await rows(database, Event) == []


TRACKED = ("events", "trip_interactions", "recommendation_requests")


@pytest.mark.parametrize("table", TRACKED)
async def test_required_column_of_the_platform_dead_letters_nothing(database: AsyncEngine, table: str) -> None:
    entries = [event("click_trip", trip_id=TRIP), request_log()]
    async with database.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {table} ADD COLUMN approved_by text NOT NULL"))
    try:
        with pytest.raises(DBAPIError):
            await store(database, entries)
    finally:
        async with database.begin() as connection:
            await connection.execute(text(f"ALTER TABLE {table} DROP COLUMN approved_by"))
    await store(database, entries)
    assert await rows(database, DeadEvent) == []
    assert len(await rows(database, Event)) == len(await rows(database, RecommendationRequest)) == 1


SQLSTATES = ("P0001", "P0004", "45000", "23514", "22000", "42501", "42P01", "42703", "55P03", "57014", "0A000", "XX000")


FUNCTION = """
CREATE FUNCTION platform_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW)::text LIKE '%refused%' OR (to_jsonb(NEW) ->> 'trip_id') = '13' THEN
        RAISE EXCEPTION 'the platform refuses this row' USING ERRCODE = '{sqlstate}';
    END IF;
    RETURN NEW;
END $$
"""


async def add_trigger(engine: AsyncEngine, table: str, sqlstate: str) -> None:
    """Add a trigger of the platform that raises an exception for some rows."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql(FUNCTION.format(sqlstate=sqlstate))
        await connection.exec_driver_sql(
            f"CREATE TRIGGER platform_refuses BEFORE INSERT OR UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION platform_refuses()"
        )


@pytest.mark.parametrize("table", TRACKED)
@pytest.mark.parametrize("sqlstate", SQLSTATES)
async def test_entry_that_a_trigger_rejects_is_dead_lettered_alone(
    database: AsyncEngine, table: str, sqlstate: str
) -> None:
    await add_trigger(database, table, sqlstate)
    try:
        bad = (
            request_log(session_id="refused") if table == "recommendation_requests" else event("click_trip", trip_id=13)
        )
        good = [event("click_trip", trip_id=TRIP), request_log(), event("click_trip", trip_id=TRIP)]
        await store(database, [good[0], bad, *good[1:]])
        assert len(await rows(database, Event)) == 2
        assert len(await rows(database, RecommendationRequest)) == 1
        (dead,) = await rows(database, DeadEvent)
        assert "refuses this row" in dead.reason
    finally:
        async with database.begin() as connection:
            await connection.execute(text("DROP FUNCTION platform_refuses CASCADE"))


async def test_failure_of_every_entry_dead_letters_nothing(database: AsyncEngine) -> None:
    entries = [event("click_trip", trip_id=13) for _ in range(40)]
    await add_trigger(database, "events", "42501")
    try:
        with pytest.raises(DBAPIError):
            await store(database, entries)
        assert await rows(database, DeadEvent) == []
    finally:
        async with database.begin() as connection:
            await connection.execute(text("DROP FUNCTION platform_refuses CASCADE"))
