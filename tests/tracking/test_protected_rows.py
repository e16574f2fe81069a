"""A row that the platform protects by a foreign key or a trigger costs itself: no other row, table or job."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core.postgres.batched_changes import PROTECTED
from schemas.tables import Base, BrowsingSession, DeadEvent, TripInteraction, UnverifiedBrowser
from tests.support.rows import rows
from tests.support.tracking.entries import PERSON, TRIP, event, request_log
from tracking.aggregation.daily import aggregate_days
from tracking.aggregation.trips import aggregate_trips
from tracking.retention import AGES, remove_old
from tracking.sessions import close_sessions
from tracking.writers.batches import store

OLD = datetime.now(UTC) - timedelta(days=40)
ROWS = 7
TABLES = cast("list[type[Base]]", [age.class_ for age in AGES])

PROTECTIONS = {
    "foreign key": "CREATE TABLE referrers (id bigint REFERENCES {table} (id)); INSERT INTO referrers VALUES ({id})",
    "deferred foreign key": "CREATE TABLE referrers (id bigint REFERENCES {table} (id) DEFERRABLE INITIALLY DEFERRED);"
    "INSERT INTO referrers VALUES ({id})",
    "trigger": "{function} RAISE 'not this one'; END $$; {trigger}",
    "trigger with a code of its own": "{function} RAISE 'not this one' USING ERRCODE = 'SMART'; END $$; {trigger}",
    "silent trigger": "{function} RETURN NULL; END $$; {trigger}",
}
FUNCTION = "CREATE FUNCTION protect() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
TRIGGER = "CREATE TRIGGER protect BEFORE {events} ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION protect()"


@pytest.fixture
async def protected(database: AsyncEngine) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    async def protect(kind: str, table: str, number: int = 1, events: str = "DELETE", condition: str = "") -> None:
        trigger = TRIGGER.format(events=events, table=table, condition=condition or f"OLD.id = {number}")
        script = PROTECTIONS[kind].format(table=table, id=number, function=FUNCTION, trigger=trigger)
        await run(database, script)

    yield protect
    await run(database, "DROP TABLE IF EXISTS referrers; DROP FUNCTION IF EXISTS protect CASCADE")


async def run(engine: AsyncEngine, script: str) -> None:
    async with engine.begin() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await connection.execute(text("SELECT 1"))
        await driver.execute(script)


async def fill(engine: AsyncEngine) -> None:
    """Store ROWS old rows in each table, with ids from 1 up."""
    moments = [OLD + timedelta(seconds=number) for number in range(ROWS)]
    events = [event("click_trip", trip_id=TRIP, timestamp=moment) for moment in moments]
    await store(engine, [*events, *(request_log(created_at=moment) for moment in moments)])
    sessions = [
        {"session_id": UUID(int=number), "anonymous_id": PERSON, "started_at": moment}
        for number, moment in enumerate(moments)
    ]
    dead = [{"body": {}, "reason": "", "created_at": moment} for moment in moments]
    browsers = [{"user_id": 1, "anonymous_id": PERSON, "created_at": moment} for moment in moments]
    async with engine.begin() as connection:
        await connection.execute(insert(BrowsingSession).values(sessions))
        await connection.execute(insert(DeadEvent).values(dead))
        await connection.execute(insert(UnverifiedBrowser).values(browsers))


def counted(table: type[Base]) -> float:
    return float(PROTECTED.labels(table.__tablename__)._value.get())


@pytest.mark.parametrize("kind", PROTECTIONS)
@pytest.mark.parametrize("table", TABLES)
async def test_protected_row_costs_itself(
    database: AsyncEngine, protected: Callable[..., Awaitable[None]], table: type[Base], kind: str
) -> None:
    await fill(database)
    (first, *_) = sorted(row.id for row in await rows(database, table))
    await protected(kind, table.__table__.fullname, first)  # type: ignore[attr-defined]
    before = counted(table)
    assert await remove_old(database, 30) == len(TABLES) * ROWS - 1
    assert [row.id for row in await rows(database, table)] == [first]
    assert counted(table) == before + 1
    for other in set(TABLES) - {table}:
        assert await rows(database, other) == [], other
    assert await remove_old(database, 30) == 0


@pytest.mark.parametrize("table", TABLES)
async def test_table_that_fails_entirely_costs_itself(database: AsyncEngine, table: type[Base]) -> None:
    await fill(database)
    name = table.__table__.fullname  # type: ignore[attr-defined]
    await run(database, f"ALTER TABLE {name} RENAME TO elsewhere")
    try:
        with pytest.raises(DBAPIError):
            await remove_old(database, 30)
    finally:
        schema = name.rpartition(".")[0]
        await run(database, f"ALTER TABLE {schema}{'.' if schema else ''}elsewhere RENAME TO {table.__tablename__}")
    for other in set(TABLES) - {table}:
        assert await rows(database, other) == [], other


@pytest.mark.parametrize("kind", [kind for kind in PROTECTIONS if kind.startswith("trigger")])
async def test_protected_session_costs_itself(
    database: AsyncEngine, protected: Callable[..., Awaitable[None]], kind: str
) -> None:
    await fill(database)
    (first, *_) = sorted(row.id for row in await rows(database, BrowsingSession))
    await protected(kind, "sessions", first, "UPDATE")
    assert await close_sessions(database) == ROWS - 1
    assert [row.id for row in await rows(database, BrowsingSession) if row.ended_at is None] == [first]


@pytest.mark.parametrize("kind", [kind for kind in PROTECTIONS if kind.startswith("trigger")])
async def test_protected_counts_cost_themselves(
    database: AsyncEngine, protected: Callable[..., Awaitable[None]], kind: str
) -> None:
    trips = range(1, ROWS + 1)
    await store(database, [event("click_trip", trip_id=trip) for trip in trips])
    async with database.begin() as connection:
        await connection.execute(text("UPDATE trip_interactions SET unique_clickers = 0"))
    await protected(kind, "trip_interactions", events="UPDATE", condition="NEW.trip_id = 3")
    await aggregate_trips(database)
    found = {row.trip_id for row in await rows(database, TripInteraction) if row.unique_clickers == 1}
    assert found == {*trips} - {3}


async def test_protected_day_costs_itself(database: AsyncEngine, protected: Callable[..., Awaitable[None]]) -> None:
    days = [datetime.now(UTC) - timedelta(days=number) for number in range(3)]
    await store(database, [request_log(created_at=day) for day in days])
    day = days[2].date()
    await protected("trigger", "recommendation_metrics_daily", events="INSERT", condition=f"NEW.date = '{day}'")
    await aggregate_days(database)
    async with database.connect() as connection:
        stored = (await connection.scalars(text("SELECT date FROM recommendation_metrics_daily ORDER BY 1"))).all()
    assert stored == sorted(day.date() for day in days[:2])
