"""What a failed request has made is freed with its response, not only by the garbage collector.

An error that refers to itself through a frame keeps all frames of its request, with the search and its rules, until a
collection of an old generation: tens of megabytes while Elasticsearch is down. Errors of Postgres are not looked at:
SQLAlchemy itself keeps theirs in cycles.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis

from app.endpoints.endpoint import Endpoint
from app.recommendations.trip_search.postgres import PostgresTripSearch
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from core.errors import OverloadedError
from tests.support.api.serving import serving

READING = [
    endpoint
    for endpoint in ENDPOINTS
    if not endpoint.admin and (endpoint.method == "GET" or endpoint.tag == "recommendations")
]
OWN = ("app.endpoints", "app.routes", "app.cache", "app.recommendations", "app.repositories", "app.middleware")
"""Packages whose frames have the data of a request."""
DOWN = "http://127.0.0.1:9"
"""An address that refuses connections."""
AT_ONCE = 12


@contextmanager
def kept_garbage() -> Iterator[list[Any]]:
    """Yield a list that has, after the block, what only a collection would have freed of what the block made."""
    gc.collect()
    gc.disable()
    found: list[Any] = []
    try:
        yield found
    finally:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        gc.enable()
        found += gc.garbage
        gc.garbage.clear()


def own_frames(garbage: list[Any]) -> set[str]:
    frames = [found for found in garbage if isinstance(found, FrameType)]
    return {
        f"{frame.f_globals['__name__']}.{frame.f_code.co_name}"
        for frame in frames
        if frame.f_globals["__name__"].startswith(OWN)
    }


async def send(api: httpx2.AsyncClient, endpoint: Endpoint, number: int) -> int:
    path = endpoint.path.replace("{id:int}", "404")
    body = {"budget": 5000 + number} if endpoint.body else None
    return (await api.request(endpoint.method, path, json=body)).status_code


async def reject(*arguments: object) -> None:
    raise OverloadedError


@pytest.mark.parametrize("overloaded", [False, True])
async def test_failed_request_leaves_no_frames_in_cycles(
    settings: Settings, engine: object, redis: Redis, monkeypatch: pytest.MonkeyPatch, *, overloaded: bool
) -> None:
    await redis.flushdb()
    if overloaded:
        # As if too many searches ran already.
        monkeypatch.setattr(PostgresTripSearch, "find", reject)
    statuses: set[int] = set()
    async with serving(settings.model_copy(update={"elasticsearch_url": DOWN})) as api:
        for number in range(2):
            with kept_garbage() as garbage:
                for endpoint in READING:
                    # Of two that are alike one waits for the other.
                    numbers = (AT_ONCE * number + one // 2 for one in range(AT_ONCE))
                    statuses |= {*await asyncio.gather(*(send(api, endpoint, one) for one in numbers))}
    assert {200, 404, 503} <= statuses
    assert own_frames(garbage) == set()
