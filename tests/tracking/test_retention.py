"""Old tracking data is removed, and only that."""

from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import BrowsingSession, DeadEvent, Event, RecommendationRequest, TripInteraction, User
from tests.support.rows import rows
from tests.support.tracking.entries import PERSON, TRIP, event, request_log
from tracking import retention
from tracking.batch_writer import store
from tracking.retention import remove_old

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
