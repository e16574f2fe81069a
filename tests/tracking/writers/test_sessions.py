"""Sessions that begin while Postgres is unavailable exist afterwards."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.tables import BrowsingSession, DeadEvent, Event, User
from tests.support.api.serving import serving
from tests.support.rows import rows
from tests.support.tracking.visits import PERSON, SESSION, drain, event
from tracking.stream import SESSION as SESSION_KIND
from tracking.stream import StreamEntry
from tracking.writers.batches import store

NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"
START = {"session_id": SESSION, "anonymous_id": PERSON, "device_type": "mobile", "referrer": "https://example.org/"}


async def start_without_database(settings: Settings, **more: Any) -> tuple[httpx2.Response, httpx2.Response]:
    async with serving(settings.model_copy(update={"database_url": NOWHERE})) as api:
        started = await api.post("/api/session/start", json={**START, **more}, headers={"User-Agent": "Browser/1"})
        return started, await api.post("/api/events", json=event("click_trip", trip_id=7, source="search_results"))


async def test_session_is_stored_once_the_database_is_back(
    settings: Settings, database: AsyncEngine, redis: Redis
) -> None:
    before = datetime.now(UTC)
    started, tracked = await start_without_database(settings)
    assert (started.status_code, tracked.status_code) == (200, 202)
    assert started.json() == {"success": True, "user_id": None, "session_id": SESSION, "is_new_session": True}
    after = datetime.now(UTC)
    await drain(redis, database)
    ((session,), (user,), (click,)) = [await rows(database, table) for table in (BrowsingSession, User, Event)]
    assert (session.session_id, session.anonymous_id) == (UUID(SESSION), UUID(PERSON))
    assert (session.user_id, click.user_id, session.ended_at) == (user.id, user.id, None)
    assert (session.device_type, session.referrer, session.user_agent) == (
        "mobile",
        "https://example.org/",
        "Browser/1",
    )
    assert before <= session.started_at <= after
    assert (session.click_count, user.total_sessions, user.total_clicks) == (1, 1, 1)


async def test_repeated_start_has_one_effect(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    for _ in range(3):
        await start_without_database(settings, email="dana@example.org")
    await drain(redis, database)
    (session,), (user,) = await rows(database, BrowsingSession), await rows(database, User)
    assert (user.total_sessions, session.user_id) == (1, user.id)


async def test_start_fails_without_database_and_redis(settings: Settings, database: AsyncEngine) -> None:
    async with serving(
        settings.model_copy(update={"database_url": NOWHERE, "redis_url": "redis://127.0.0.1:9/0"})
    ) as api:
        assert (await api.post("/api/session/start", json=START)).status_code == 503


@pytest.mark.parametrize("body", [b"{", b"5", b"{}", b'{"verified_email":null,"network":null,"user_agent":null}'])
async def test_malformed_session_is_dead_lettered_alone(database: AsyncEngine, body: bytes) -> None:
    await store(database, [StreamEntry(SESSION_KIND, body)])
    assert len(await rows(database, DeadEvent)) == 1
