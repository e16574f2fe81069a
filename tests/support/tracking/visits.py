"""Tracking requests of the web client, and a producer to send them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.database import Database
from app.backends.redis import ResilientRedis
from app.recommendations.engine import RankedResults
from app.recommendations.request_log_record import build_log_record
from app.tracking.producer import TrackingProducer
from app.tracking.records import RequestLog
from core import clients
from schemas.api.preferences import Preferences
from schemas.weight_sets import PLATFORM
from tracking.consumer import store_next_batch

SESSION = "22222222-2222-4222-8222-222222222222"
PERSON = "11111111-1111-4111-8111-111111111111"


def event(event_type: str = "page_view", **values: Any) -> dict[str, Any]:
    return {"event_type": event_type, "session_id": SESSION, "anonymous_id": PERSON, **values}


FULL_EVENT = event(
    "click_trip",
    trip_id=668,
    source="search_results",
    recommendation_request_id="33333333-3333-4333-8333-333333333333",
    metadata={"query": "טיול ליפן", "filters": {"countries": [1, 2], "theme": None}},
    position=3,
    score=87,
    client_timestamp="2026-11-24T09:30:00.123Z",
    page_url="https://example.org/search/results?countries=1,2",
    referrer="https://example.org/",
    event_id="44444444-4444-4444-8444-444444444444",
)


async def drain(redis: Redis, engine: AsyncEngine) -> None:
    """Store all entries of the stream, as the worker does."""
    while await store_next_batch(redis, engine, wait_seconds=0.01):
        pass


NOTHING_FOUND = RankedResults((), (), total_candidates=0)


def request_log(*, session_id: str = SESSION, preferences: Preferences | None = None) -> RequestLog:
    return RequestLog(
        request_id=str(uuid4()),
        session_id=session_id,
        received_at=datetime.now(UTC),
        response_time_ms=12,
        weights=PLATFORM,
        search=build_log_record(NOTHING_FOUND, preferences or Preferences()),
    )


@asynccontextmanager
async def open_producer(
    redis_url: str, database_url: str, limit: int = 1000, limit_bytes: int = 2**28
) -> AsyncIterator[TrackingProducer]:
    database = Database(clients.postgres(database_url, connect_timeout=1))
    redis = ResilientRedis(clients.redis(redis_url))
    try:
        yield TrackingProducer(redis, database, limit, limit_bytes)
    finally:
        await redis.close()
        await database.close()
