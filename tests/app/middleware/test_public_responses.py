"""Responses that shared caches send to everybody carry nothing of the client whose request filled the cache."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message, Scope

from app.http.raw_response import RAW_RESPONSE_EXTENSION, RawResponse, is_public
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from tests.app.conftest import fill
from tests.support.api.serve_process import serve_process
from tests.support.api.tokens import SECRET, token

PATHS = sorted({endpoint.path.replace("{id:int}", "1") for endpoint in ENDPOINTS if endpoint.method == "GET"})
CLIENT = ("x-request-id", "ratelimit", "set-cookie", "server-timing", "x-session-id")
"""Prefixes of headers that belong to one client."""


@pytest.fixture(scope="module")
async def url(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncIterator[str]:
    await fill(settings, engine, redis)
    variables = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_DEFAULT": "9999/hour", "SUPABASE_JWT_SECRET": SECRET}
    async with serve_process(settings, port=None, **variables) as process:
        yield process.url


@pytest.mark.parametrize("path", PATHS)
async def test_public_response_carries_nothing_of_a_client(url: str, path: str) -> None:
    async with httpx2.AsyncClient(base_url=url) as client:
        first = await client.get(path)
        more = {"If-None-Match": first.headers.get("etag", "")}
        responses = [
            first,
            await client.get(path, headers={"Authorization": f"Bearer {token()}", "X-Request-ID": "of-a-visitor"}),
            await client.get(path, headers={"Accept-Encoding": "identity"}),
            await client.get(path, headers=more),
            await client.head(path),
        ]
    for response in responses:
        own = {name for name in response.headers if name.lower().startswith(CLIENT)}
        if response.headers.get("cache-control", "").startswith("public"):
            assert own == set()
        else:
            assert "x-request-id" in own


async def test_reference_data_is_public(url: str) -> None:
    """Otherwise the other test would test nothing."""
    async with httpx2.AsyncClient(base_url=url) as client:
        assert (await client.get("/api/tags")).headers["cache-control"].startswith("public")


@pytest.mark.parametrize("extensions", [{}, {RAW_RESPONSE_EXTENSION: {}}], ids=["standard", "raw"])
@pytest.mark.parametrize(
    ("cache_control", "public"), [(b"public, s-maxage=3600", True), (b"no-cache", False), (b"private", False)]
)
async def test_public_response_is_recognised(extensions: dict[str, Any], cache_control: bytes, public: bool) -> None:
    scope: Scope = {"type": "http", "method": "GET", "extensions": extensions}
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError

    await RawResponse(200, ((b"cache-control", cache_control),), (b"{}",))(scope, receive, send)
    assert is_public(messages[0]) is public
