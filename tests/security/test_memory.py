"""Nothing that a client sends stays in the process's memory, however many different requests it sends."""

import gc
import tracemalloc
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import httpx2
import pytest

from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from tests.support.api.serving import serving
from tests.support.request_headers import request_headers

LONG = 30_000
"""Bytes that each request adds to a path, a query string or a header."""
REQUESTS = 16
GROWTH = 4 * LONG
"""Bytes that may stay after all requests: a quarter of what they sent."""
HEADERS = request_headers()
CACHED = [endpoint for endpoint in ENDPOINTS if endpoint.fast_path or endpoint.cache]


@pytest.fixture(scope="module")
async def api(settings: Settings, trip: int) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the API, which has a trip, so that responses are cached."""
    proxied = settings.model_copy(update={"trusted_proxies": [ip_network("127.0.0.1")], "rate_limit_enabled": False})
    # Only what the requests leave behind has to be collected.
    gc.collect()
    gc.freeze()
    async with serving(proxied) as api:
        yield api
    gc.unfreeze()


async def growth(api: httpx2.AsyncClient, endpoint: Endpoint, requests: list[dict[str, Any]]) -> int:
    """Return the bytes by which memory grows while the requests are sent; one before fills the caches."""
    method, path = endpoint.method, endpoint.path.replace("{id:int}", "1")
    headers = {"Content-Type": "application/json"}

    async def send(request: dict[str, Any]) -> None:
        merged = {**request, "headers": {**headers, **request.get("headers", {})}}
        content = b"{}" if endpoint.body else None
        await api.request(method, path + merged.pop("query", ""), content=content, **merged)

    for request in requests[:2]:
        await send(request)
    gc.collect()
    tracemalloc.start()
    try:
        for request in requests[2:]:
            await send(request)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.mark.parametrize("endpoint", CACHED, ids=name)
async def test_query_strings_do_not_stay(api: httpx2.AsyncClient, endpoint: Endpoint) -> None:
    known = [*endpoint.query.model_fields][:1] if endpoint.query else []
    for parameter in ("unknown", *known):
        requests = [{"query": f"?{parameter}={number}{'x' * LONG}"} for number in range(REQUESTS)]
        assert await growth(api, endpoint, requests) < GROWTH


@pytest.mark.parametrize("header", HEADERS)
async def test_headers_do_not_stay(api: httpx2.AsyncClient, header: str) -> None:
    start = "application/json; " if header == "content-type" else ""
    for endpoint in (endpoint for endpoint in CACHED if endpoint.path in ("/api/tags", "/api/v2/recommendations")):
        requests = [{"headers": {header: f"{start}{number}{'x' * LONG}"}} for number in range(REQUESTS)]
        assert await growth(api, endpoint, requests) < GROWTH
