"""Old tracking data is removed, and only that."""

from datetime import UTC, datetime, time, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Integer, TypeDecorator, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from core.postgres import retention
from core.postgres.retention import remove_expired
from schemas.tables import (
    Base,
    BrowsingSession,
    DeadEvent,
    DeadLetter,
    Event,
    RecommendationRequest,
    TripInteraction,
    User,
)
from tests.support.rows import rows
from tests.support.tracking.entries import PERSON, TRIP, event, request_log
from tracking.retention import AGES, remove_old
from tracking.writers.batches import store

DAYS = 30
MIDNIGHT = datetime.combine(datetime.now(UTC).date() - timedelta(days=DAYS), time.min, UTC)
OLD, RECENT = MIDNIGHT - timedelta(seconds=1), MIDNIGHT + timedelta(seconds=1)


async def fill(engine: AsyncEngine) -> None:
    for number, moment in enumerate((OLD, RECENT)):
        await store(engine, [event("click_trip", trip_id=TRIP, timestamp=moment), request_log(created_at=moment)])
        session = {"session_id": UUID(int=number), "anonymous_id": PERSON, "started_at": moment}
        dead = {"body": {}, "reason": "", "created_at": moment}
        async with engine.begin() as connection:
            await connection.execute(insert(BrowsingSession).values(session))
            await connection.execute(insert(DeadEvent).values(dead))


async def test_whole_days_are_removed(database: AsyncEngine) -> None:
    await fill(database)
    assert await remove_old(database, DAYS) == 4
    for table, age in (
        (Event, "timestamp"),
        (BrowsingSession, "started_at"),
        (RecommendationRequest, "created_at"),
        (DeadEvent, "created_at"),
    ):
        assert [row._mapping[age] for row in await rows(database, table)] == [RECENT], table


async def test_users_and_counts_are_retained(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(User).values(anonymous_id=PERSON, last_seen_at=OLD))
    await fill(database)
    await remove_old(database, DAYS)
    assert len(await rows(database, User)) == 1
    (trip,) = await rows(database, TripInteraction)
    assert trip.click_count == 2


async def test_removal_is_idempotent(database: AsyncEngine) -> None:
    await fill(database)
    await remove_old(database, DAYS)
    assert await remove_old(database, DAYS) == 0


async def test_rows_beyond_a_chunk_are_removed(database: AsyncEngine) -> None:
    count = retention.CHUNK + 5
    async with database.begin() as connection:
        values = [{"body": {}, "reason": "", "created_at": OLD} for _ in range(count)]
        await connection.execute(insert(DeadEvent), values)
    assert await remove_old(database, DAYS) == count


@pytest.mark.parametrize("age", [*AGES, DeadLetter.died_at], ids=lambda age: age.class_.__tablename__)
async def test_one_run_removes_few_days_of_each_table(database: AsyncEngine, age: InstrumentedAttribute[Any]) -> None:
    """As if the clock had jumped ahead: all of 30 days is older than a day."""
    now = datetime.now(UTC)
    moments = [now - timedelta(days=days) for days in range(1, 31)]
    async with database.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(insert(age.class_).values([row_of(age, moment) for moment in moments]))
    for runs in range(1, 3):
        await remove_expired(database, age, 0)
        left = sorted(getattr(row, age.key) for row in await rows(database, cast(type[Base], age.class_)))
        assert left == sorted(moments)[runs * retention.MAX_DAYS_AT_ONCE :]


def _python_type(column: Any) -> type:
    """Return the type of the column's values, which a decorated type does not tell."""
    stored = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return cast(type, stored.python_type)


def row_of(age: InstrumentedAttribute[Any], moment: datetime) -> dict[str, Any]:
    """Return the values of a row with this age, and of whatever else its table requires."""
    samples: dict[type, Any] = {int: 1, str: "x", list: [], UUID: uuid4(), datetime: moment, bool: False}
    columns = age.class_.__table__.columns
    required = [column for column in columns if not (column.nullable or column.server_default or column.identity)]
    serial = columns["id"] if isinstance(columns["id"].type, Integer) else None
    return {column.key: samples.get(_python_type(column), {}) for column in required if column is not serial} | {
        age.key: moment
    }
