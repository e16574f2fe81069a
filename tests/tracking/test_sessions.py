"""Sessions end after 30 minutes of silence."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import BrowsingSession
from tests.support.rows import rows
from tests.support.tracking.entries import PERSON, SESSION, event
from tracking import sessions
from tracking.sessions import close_sessions
from tracking.writers.batches import store


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def begin(engine: AsyncEngine, **values: Any) -> None:
    defaults = {"session_id": SESSION, "anonymous_id": PERSON, "started_at": ago(90)}
    async with engine.begin() as connection:
        await connection.execute(insert(BrowsingSession).values(defaults | values))


async def test_idle_session_ends_with_its_last_event(database: AsyncEngine) -> None:
    started, last = ago(90), ago(31)
    await begin(database, started_at=started)
    await store(database, [event(timestamp=ago(60)), event(timestamp=last)])
    assert await close_sessions(database) == 1
    (session,) = await rows(database, BrowsingSession)
    assert session.ended_at == last
    assert session.duration_seconds == round((last - started).total_seconds())


async def test_session_without_events_ends_at_its_start(database: AsyncEngine) -> None:
    started = ago(31)
    await begin(database, started_at=started)
    assert await close_sessions(database) == 1
    (session,) = await rows(database, BrowsingSession)
    assert (session.ended_at, session.duration_seconds) == (started, 0)


async def test_active_session_stays_open(database: AsyncEngine) -> None:
    await begin(database)
    await begin(database, session_id=uuid4(), started_at=ago(29))
    await store(database, [event(timestamp=ago(29))])
    assert await close_sessions(database) == 0


async def test_events_of_other_sessions_do_not_count(database: AsyncEngine) -> None:
    await begin(database)
    await store(database, [event(session_id=uuid4())])
    assert await close_sessions(database) == 1


async def test_session_without_start_begins_with_its_row(database: AsyncEngine) -> None:
    await begin(database, started_at=None, created_at=ago(40))
    assert await close_sessions(database) == 1


async def test_closing_is_idempotent(database: AsyncEngine) -> None:
    await begin(database)
    await close_sessions(database)
    before = await rows(database, BrowsingSession)
    assert await close_sessions(database) == 0
    assert await rows(database, BrowsingSession) == before


async def test_sessions_beyond_a_chunk_are_closed(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        values = [
            {"session_id": uuid4(), "anonymous_id": PERSON, "started_at": ago(31)} for _ in range(sessions.CHUNK + 5)
        ]
        await connection.execute(insert(BrowsingSession), values)
    assert await close_sessions(database) == sessions.CHUNK + 5
