"""What is said of a recommendation request always fits its table."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import orjson
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.tracking.records import encode_event
from core.configuration.settings import Settings
from schemas.api.preferences import Preferences
from schemas.api.tracking import TrackedEvent
from schemas.tables import DeadEvent, RecommendationRequest
from tests.support.rows import rows
from tests.support.tracking.visits import SESSION, drain, open_producer, request_log
from tests.support.tracking.visits import event as page_view


async def logged(settings: Settings, database: AsyncEngine, redis: Redis, **values: Any) -> dict[str, Any]:
    async with open_producer(settings.redis_url, settings.database_url) as producer:
        await producer.publish_request_logs([request_log(**values)])
    await drain(redis, database)
    assert await rows(database, DeadEvent) == []
    (row,) = await rows(database, RecommendationRequest)
    return dict(row._mapping)


async def test_request_log_has_the_preferences(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    asked = {
        "selected_countries": [3, 1],
        "selected_continents": ["North & Central America"],
        "preferred_type_id": 7,
        "preferred_theme_ids": [2],
        "min_duration": 5,
        "max_duration": 30,
        "budget": 15000.5,
        "difficulty": 2,
        "year": 2027,
        "month": "all",
    }
    row = await logged(settings, database, redis, preferences=Preferences.model_validate(asked))
    assert row["selected_countries"] == [1, 3]
    for name in ("selected_continents", "preferred_type_id", "preferred_theme_ids", "min_duration", "max_duration"):
        assert row[name] == asked[name]
    assert (row["budget"], row["difficulty"], row["year"], row["month"]) == (Decimal("15000.50"), 2, "2027", None)
    del asked["month"]
    assert row["preferences"] == asked | {"selected_countries": [1, 3]}
    assert (row["session_id"], row["response_time_ms"]) == (SESSION, 12)


EXTREME = {
    "selected_countries": [2**40, -(2**40), 5],
    "preferred_theme_ids": [2**40],
    "preferred_type_id": 2**40,
    "budget": "1e300",
    "min_duration": 10**12,
    "max_duration": 10**12,
    "year": 1,
    "month": 12,
    "start_date": "9999-12-31",
}


@pytest.mark.parametrize(
    "preferences",
    [EXTREME, {"budget": "0.00000001"}, {"selected_countries": list(range(500))}, {"budget": 99999999.99}],
)
async def test_any_valid_request_can_be_logged(
    settings: Settings, database: AsyncEngine, redis: Redis, preferences: dict[str, Any]
) -> None:
    row = await logged(settings, database, redis, preferences=Preferences.model_validate(preferences))
    assert row["has_no_results"] is True


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(text, None) for text in ("x" * 64, "'\\\"ÿ", "", "dana@example.org", f"{UUID(int=5)} dana")]
    + [(spelt, str(UUID(int=5))) for spelt in (UUID(int=5).hex, str(UUID(int=5)).upper())],
)
async def test_session_id_is_logged_if_it_is_a_uuid(
    settings: Settings, database: AsyncEngine, redis: Redis, sent: str, kept: str | None
) -> None:
    row = await logged(settings, database, redis, session_id=sent)
    assert row["session_id"] == kept


def test_nul_is_replaced_wherever_it_is() -> None:
    """Of all texts of six characters that look alike as JSON."""
    for letters in product('\\\0u0"', repeat=6):
        text = "".join(letters)
        event = TrackedEvent.model_validate(page_view(metadata={"text": text}))
        stored = orjson.loads(encode_event(event, UUID(int=1), datetime.now(UTC)))
        assert stored["event_data"] == {"text": text.replace("\0", "\ufffd")}
