"""A person is told all that is stored about them, and nothing about others."""

from typing import Any

import orjson
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from core.configuration.settings import Settings
from schemas.redis_keys import TRACKING_STREAM
from tests.support.tracking.people import (
    BEN,
    BENS_SESSION,
    DANA,
    DANAS_SESSION,
    NOA,
    NOAS_SESSION,
    SHARED,
    three_people,
    visit,
)
from tracking.privacy.export import export_user


async def exported(settings: Settings, email: str) -> dict[str, list[dict[str, Any]]]:
    stored = await export_user(settings, email)
    assert stored is not None
    return stored


async def test_export_contains_all_data_of_the_subject(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    await three_people(database)
    waits = visit(DANAS_SESSION, SHARED)
    await redis.xadd(TRACKING_STREAM, {waits.kind: waits.body})
    stored = await exported(settings, DANA)
    assert {place: len(rows) for place, rows in stored.items()} == {
        "users": 1,
        "sessions": 1,
        "events": 1,
        "recommendation_requests": 2,
        "not_stored_yet": 2,
    }
    (user,), (session,), (event,) = stored["users"], stored["sessions"], stored["events"]
    assert (user["email"], user["name"], user["anonymous_id"]) == (DANA, "dana", SHARED)
    assert (session["session_id"], str(session["ip_address"])) == (DANAS_SESSION, "192.0.2.0/24")
    assert (event["session_id"], event["user_id"]) == (DANAS_SESSION, user["id"])
    assert stored["recommendation_requests"][0]["result_trip_ids"] == [5, 3]
    assert stored["not_stored_yet"][0] == orjson.loads(waits.body)


async def test_export_contains_no_data_of_others(settings: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    told = str(await exported(settings, DANA))
    assert not any(sign in told for sign in (BEN, NOA, str(BENS_SESSION), str(NOAS_SESSION)))
    told = str(await exported(settings, BEN))
    assert not any(sign in told for sign in (DANA, NOA, str(DANAS_SESSION), str(NOAS_SESSION)))


async def test_unknown_address_exports_nothing(settings: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    assert await export_user(settings, "nobody@example.org") is None


async def test_log_does_not_contain_personal_data(settings: Settings, database: AsyncEngine) -> None:
    await three_people(database)
    with capture_logs() as lines:
        await exported(settings, DANA)
    (line,) = lines
    assert (line["event"], line["user_ids"]) == ("user_exported", [1])
    assert "dana" not in str(line)
