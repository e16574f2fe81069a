"""Limits on events: each event of a batch counts, and the stream is bounded by bytes."""

from collections.abc import Sequence

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas.redis_keys import TRACKING_STREAM
from tests.support.api.serving import serving
from tests.support.tracking.visits import drain, event

LIMIT = 120
GENEROUS = {"rate_limit_enabled": True}


async def send(api: httpx2.AsyncClient, count: int) -> httpx2.Response:
    """Send so many events in one request."""
    if count == 1:
        return await api.post("/api/events", json=event())
    return await api.post("/api/events/batch", json={"events": [event() for _ in range(count)]})


@pytest.mark.parametrize("sizes", [(100, 20), (1,) * 3 + (100, 17), (60, 60), (7,) * 17 + (1,)])
async def test_every_event_counts(
    settings: Settings, database: AsyncEngine, redis: Redis, sizes: Sequence[int]
) -> None:
    assert sum(sizes) == LIMIT
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_event_count": f"{LIMIT}/hour"})
    async with serving(limited) as api:
        for size in sizes:
            assert (await send(api, size)).status_code == 202
        for size in (1, 2, 100):
            rejected = await send(api, size)
            assert (rejected.status_code, rejected.json()["code"]) == (429, "too_many_requests")
            assert 0 < int(rejected.headers["retry-after"]) <= 2 * 3600
            assert rejected.headers["ratelimit-limit"] == str(LIMIT)
    assert await redis.xlen(TRACKING_STREAM) == LIMIT


async def test_rejected_batch_stores_and_counts_nothing(
    settings: Settings, database: AsyncEngine, redis: Redis
) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_event_count": f"{LIMIT}/hour"})
    async with serving(limited) as api:
        assert [(await send(api, size)).status_code for size in (100, 21, 100, 20)] == [202, 429, 429, 202]
    assert await redis.xlen(TRACKING_STREAM) == LIMIT


async def test_result_page_is_within_the_default(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    """24 events of a page, from many visitors behind one address."""
    async with serving(settings.model_copy(update=GENEROUS)) as api:
        assert {(await send(api, 24)).status_code for _ in range(100)} == {202}


async def test_stream_is_bounded_by_bytes(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    limit = 2 * 1024 * 1024
    large = [event(metadata={"text": "x" * 8000}) for _ in range(100)]
    async with serving(settings.model_copy(update={"tracking_limit_bytes": limit})) as api:
        statuses = [(await api.post("/api/events/batch", json={"events": large})).status_code for _ in range(6)]
        assert statuses == sorted(statuses)
        assert (statuses[0], statuses[-1]) == (202, 503)
        assert int(await redis.memory_usage(TRACKING_STREAM) or 0) < 2 * limit
        await drain(redis, database)
        assert (await send(api, 2)).status_code == 202
