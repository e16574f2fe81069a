"""The application is complete without `app.server`: other ASGI servers send the same responses as ours."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from tests.app.conftest import ADMIN_KEY, fill
from tests.support.api.other_servers import COMMANDS, other_server
from tests.support.api.serve_process import serve_process

VARYING = {"/metrics", "/api/health", "/api/admin/index"}
"""Paths whose bodies differ from one process, or from one moment, to the next."""

SERVER_HEADERS = {
    "date",
    "server",
    "connection",
    "content-length",
    "transfer-encoding",
    "x-request-id",
    "server-timing",
}
"""Headers that belong to the server or to the single request."""

LOCATIONS = "/api/locations"
RECOMMENDATIONS = "/api/v2/recommendations"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None


def get_requests() -> list[Request]:
    headers = {"X-Admin-Key": ADMIN_KEY}
    paths = [endpoint.path.replace("{id:int}", "1") for endpoint in ENDPOINTS if endpoint.method == "GET"]
    return [Request("GET", path, headers) for path in paths]


JSON = {"Content-Type": "application/json"}
EVENT = {"event_type": "page_view", "session_id": "a-session", "anonymous_id": "a-visitor"}
OTHERS = [
    pytest.param(Request("POST", RECOMMENDATIONS, json={"budget": 9000}), 200, id="recommendation"),
    pytest.param(Request("POST", "/api/events/batch", json={"events": [EVENT, {}]}), 202, id="event batch"),
    pytest.param(Request("POST", "/api/session/start", json={}), 400, id="wrong fields"),
    pytest.param(Request("POST", RECOMMENDATIONS, JSON, content=b"{"), 400, id="broken JSON"),
    pytest.param(Request("POST", RECOMMENDATIONS, content=b"<budget/>"), 415, id="not JSON"),
    pytest.param(Request("POST", RECOMMENDATIONS, JSON, content=b" " * 70_000), 413, id="too large"),
    pytest.param(Request("GET", "/api/admin/index"), 401, id="no credentials"),
    pytest.param(Request("GET", "/api/nothing"), 404, id="no such path"),
    pytest.param(Request("GET", "/api/guides/999"), 404, id="no such row"),
    pytest.param(Request("DELETE", LOCATIONS), 405, id="wrong method"),
    pytest.param(Request("HEAD", LOCATIONS), 200, id="HEAD"),
    pytest.param(Request("GET", LOCATIONS, {"Accept-Encoding": "gzip"}), 200, id="gzip"),
    pytest.param(Request("GET", LOCATIONS, {"If-None-Match": "*"}), 304, id="not modified"),
    pytest.param(Request("GET", LOCATIONS, {"Origin": "http://localhost:3000"}), 200, id="CORS"),
    pytest.param(Request("GET", LOCATIONS, {"Origin": "https://evil.example"}), 200, id="CORS, other origin"),
    pytest.param(
        Request("OPTIONS", LOCATIONS, {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"}),
        200,
        id="preflight",
    ),
]


@pytest.fixture(scope="module")
async def ours(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncIterator[str]:
    """Address of `smarttrip serve` with a few trips."""
    await fill(settings, engine, redis)
    async with serve_process(settings, ADMIN_KEY=ADMIN_KEY) as serving:
        yield serving.url


QUICK = "uvicorn"
"""The server that the quick suite has."""


@pytest.fixture(
    scope="module",
    params=[name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(COMMANDS)],
)
async def other(request: pytest.FixtureRequest, settings: Settings, ours: str) -> AsyncIterator[str]:
    """Address of another server with the same trips."""
    async with other_server(request.param, settings, ADMIN_KEY=ADMIN_KEY) as address:
        yield address


async def send(address: str, request: Request, tls: SSLContext | None = None) -> httpx2.Response:
    headers = {"Accept-Encoding": "identity"}
    async with httpx2.AsyncClient(base_url=address, headers=headers, verify=tls or True) as client:
        return await client.request(
            request.method, request.path, headers=request.headers, json=request.json, content=request.content
        )


def comparable(response: httpx2.Response) -> tuple[dict[str, str], object]:
    headers = {name: _without_nonce(value) for name, value in response.headers.items() if name not in SERVER_HEADERS}
    if response.request.url.path in VARYING:
        return headers, None
    if headers.get("content-type") != "application/json" or not response.content:
        return headers, _without_nonce(response.content.decode("latin-1"))
    return headers, {**response.json(), "request_id": ""}


def _without_nonce(text: str) -> str:
    return re.sub(r"(nonce[-=]\"?)[\w-]+", r"\1", text)


@pytest.mark.parametrize("request_", get_requests(), ids=lambda request: request.path)
async def test_get_endpoint_responds_as_ours(ours: str, other: str, request_: Request) -> None:
    expected, response = await send(ours, request_), await send(other, request_)
    assert expected.status_code == response.status_code == 200
    assert comparable(response) == comparable(expected)


@pytest.mark.parametrize(("request_", "status"), OTHERS)
async def test_response_is_the_same_as_ours(ours: str, other: str, request_: Request, status: int) -> None:
    expected, response = await send(ours, request_), await send(other, request_)
    assert expected.status_code == response.status_code == status
    assert comparable(response) == comparable(expected)
    ids = [message.headers.get("x-request-id") for message in (response, expected)]
    # Public responses have none: shared caches would pass it on.
    assert ids == [None, None] or ids[0] != ids[1]


async def test_etag_of_ours_is_valid_at_others(ours: str, other: str) -> None:
    etag = (await send(ours, Request("GET", LOCATIONS))).headers["etag"]
    response = await send(other, Request("GET", LOCATIONS, {"If-None-Match": etag}))
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)


async def test_repeated_search_has_own_request_id(other: str) -> None:
    first, second = [await send(other, Request("POST", RECOMMENDATIONS, json={"budget": 8000})) for _ in range(2)]
    assert first.json()["request_id"] != second.json()["request_id"]
    assert {**first.json(), "request_id": ""} == {**second.json(), "request_id": ""}
