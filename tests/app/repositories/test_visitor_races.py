"""Tracking calls of one visitor at the same time: no error, and the outcome of one order or the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.tables import BrowsingSession, Event, UnverifiedBrowser, User
from tests.support.api.serving import serving
from tests.support.api.tokens import SECRET, token
from tests.support.rows import rows
from tests.support.tracking.visits import drain, event

DANA = "dana@example.org"
BROWSER, OTHER_BROWSER = str(UUID(int=1)), str(UUID(int=2))
SESSION, OTHER_SESSION = str(UUID(int=11)), str(UUID(int=12))
HERE = {"anonymous_id": BROWSER, "session_id": SESSION}
THERE = {"anonymous_id": OTHER_BROWSER, "session_id": OTHER_SESSION}
START, IDENTIFY, EVENT, BATCH = "/api/session/start", "/api/user/identify", "/api/events", "/api/events/batch"
TOKEN = {"as_user": DANA}

CALLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "start": (START, HERE),
    "start with address": (START, {**HERE, "email": DANA}),
    "start with token": (START, HERE | TOKEN),
    "start elsewhere": (START, {**THERE, "email": DANA}),
    "identify": (IDENTIFY, {"anonymous_id": BROWSER, "email": DANA, "name": "Dana"}),
    "identify with token": (IDENTIFY, {"anonymous_id": BROWSER, **TOKEN}),
    "identify elsewhere": (IDENTIFY, {"anonymous_id": OTHER_BROWSER, "email": DANA}),
    "log in elsewhere": (IDENTIFY, {"anonymous_id": OTHER_BROWSER, **TOKEN}),
    "event": (EVENT, event("search_submit", **HERE, event_id=str(UUID(int=21)))),
    "batch": (
        BATCH,
        {
            "events": [
                event("search_submit", **THERE, event_id=str(UUID(int=22))),
                event("click_trip", **HERE, source="similar", trip_id=5, event_id=str(UUID(int=23))),
            ]
        },
    ),
}
KNOWN = ("start", "start elsewhere", "identify")
"""Calls that were made before."""

Call = Callable[[str], Awaitable[None]]


@pytest.fixture
async def call(settings: Settings, database: AsyncEngine, redis: Redis) -> AsyncIterator[Call]:
    """Make a call by its name; what it has sent to the stream is stored."""
    known = settings.model_copy(update={"supabase_jwt_secret": SecretStr(SECRET), "rate_limit_enabled": False})
    headers = {"Authorization": f"Bearer {token(email=DANA)}"}
    async with serving(known) as api:

        async def send(name: str) -> None:
            path, given = CALLS[name]
            body = {key: value for key, value in given.items() if key != "as_user"}
            response: httpx2.Response = await api.post(path, json=body, headers=headers if "as_user" in given else {})
            assert response.is_success, response.text
            if path in (EVENT, BATCH):
                await drain(redis, database)

        yield send


async def clear(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for table in (Event, BrowsingSession, UnverifiedBrowser, User):
            await connection.execute(delete(table))


async def outcome(engine: AsyncEngine) -> str:
    """Describe users, sessions and events without ids and times."""
    known = {BROWSER: "here", OTHER_BROWSER: "there"}
    users = {
        user.id: (
            known.get(str(user.anonymous_id)),
            *(user.email, user.name, user.is_registered, user.total_sessions, user.total_searches, user.total_clicks),
        )
        for user in await rows(engine, User)
    }
    sessions = [
        (str(row.session_id), users.get(row.user_id), row.search_count, row.click_count, row.ended_at)
        for row in await rows(engine, BrowsingSession)
    ]
    events = [(str(row.event_uuid), users.get(row.user_id)) for row in await rows(engine, Event)]
    return str([sorted(map(str, part)) for part in (users.values(), sessions, events)])


async def result(call: Call, engine: AsyncEngine, *steps: tuple[str, ...]) -> str:
    """Return the outcome of the steps, each of which makes its calls at the same time."""
    await clear(engine)
    for names in steps:
        await asyncio.gather(*map(call, names))
    return await outcome(engine)


@pytest.mark.parametrize("present", [(), pytest.param(KNOWN, marks=pytest.mark.slow, id="known")])
@pytest.mark.parametrize("first", CALLS)
async def test_concurrent_calls_have_a_serial_outcome(
    call: Call, database: AsyncEngine, present: tuple[str, ...], first: str
) -> None:
    before, names = [(name,) for name in present], [*CALLS]
    for second in names[names.index(first) :]:
        orders = [(first,), (second,)], [(second,), (first,)]
        serial = {await result(call, database, *before, *order) for order in orders}
        assert await result(call, database, *before, (first, second)) in serial, f"{first} and {second}"


@pytest.mark.parametrize("start", [name for name, (path, _) in CALLS.items() if path == START])
async def test_events_before_their_session_are_counted(call: Call, database: AsyncEngine, start: str) -> None:
    in_order = await result(call, database, (start,), ("event",), ("batch",))
    for order in ((("event",), ("batch",), (start,)), (("event",), (start,), ("batch",))):
        assert await result(call, database, *order) == in_order
