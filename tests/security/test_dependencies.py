"""Dependencies: responses reveal nothing about them, and their data is validated."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis

from app.backends.http_client import HttpClient
from app.cache.invalidation_state import InvalidationState
from app.cache.subscriber import subscribe_to_invalidations
from app.endpoints.endpoint import Endpoint
from app.http.raw_response import JSON
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.routes import ENDPOINTS
from core.concurrency.tasks import background_task
from core.configuration.settings import Settings
from core.errors import BackendUnavailableError
from schemas.api.errors import ErrorResponse
from schemas.redis_keys import GENERATION_COUNTER
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.tracking.visits import event

INTERNALS = (
    "inside.invalid",
    "5432",
    "6379",
    "9200",
    "smarttrip_inside",
    "Traceback",
    "asyncpg",
    "sqlalchemy",
    "SELECT ",
)
"""Parts of internal addresses, and words that occur only in internal errors."""


JSON_ENDPOINTS = [endpoint for endpoint in ENDPOINTS if endpoint.media_type == JSON and endpoint.tag != "description"]


@pytest.fixture
def unreachable(unlimited: Settings) -> Settings:
    return unlimited.model_copy(
        update={
            "database_url": "postgresql+asyncpg://smarttrip_inside@postgres.inside.invalid:5432/smarttrip_inside",
            "redis_url": "redis://redis.inside.invalid:6379/0",
            "elasticsearch_url": "http://elasticsearch.inside.invalid:9200",
        }
    )


@pytest.mark.parametrize("endpoint", JSON_ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
async def test_outage_responses_reveal_no_internals(unreachable: Settings, endpoint: Endpoint) -> None:
    async with serving(unreachable) as api:
        response = await api.request(
            endpoint.method, endpoint.path.replace("{id:int}", "1"), json={**event(), "events": [event()]}
        )
    assert response.status_code < 500 or response.status_code == 503
    if response.status_code == 503 and endpoint.path != "/api/health":
        ErrorResponse.model_validate(response.json())
    # An id of the request may have any digits, a port's as well.
    revealed = response.text.replace(response.headers["x-request-id"], "")
    assert not any(word in revealed for word in INTERNALS)


MALFORMED: dict[str, tuple[str, bytes]] = {
    "no JSON": ("application/json", b"<html>Bad gateway</html>"),
    "a page": ("text/html", b"<html>Bad gateway</html>"),
    "nothing": ("application/json", b""),
    "null": ("application/json", b"null"),
    "a list": ("application/json", b"[]"),
    "an empty object": ("application/json", b"{}"),
    "no hits": ("application/json", b'{"timed_out": false, "_shards": {"failed": 0}}'),
    "hits without documents": (
        "application/json",
        b'{"timed_out": false, "_shards": {"failed": 0}, "hits": {"total": {"value": 1}, "hits": [{"_id": "1"}]}}',
    ),
    "another type": ("application/vnd.elasticsearch+json", b'{"_shards": {"failed": 0}}'),
    "no text": (
        "application/json",
        b'{"_shards": {"failed": 0}, "hits": {"total": {"value": 1}, "hits": [{"_source": {"country": "\xff"}}]}}',
    ),
}


LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@asynccontextmanager
async def constant_server(media_type: str, body: bytes) -> AsyncIterator[str]:
    """Run a server that sends the same response to every request."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                (int(line[15:]) for line in head.splitlines() if line.lower().startswith(b"content-length")), 0
            )
            await reader.readexactly(length)
            about = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{about}X-Elastic-Product: Elasticsearch\r\n\r\n".encode() + body)

    async def until_it_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await respond(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(until_it_ends, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_search_response_counts_as_outage(unlimited: Settings, trip: int, case: str) -> None:
    async with constant_server(*MALFORMED[case]) as url:
        elsewhere = unlimited.model_copy(update={"elasticsearch_url": url, "answer_cache_seconds": 0})
        async with serving(elsewhere) as api:
            response = await api.post("/api/v2/recommendations", json={})
    assert response.status_code == 200
    assert response.json()["degraded"] is True


async def test_malformed_lookup_response_counts_as_outage() -> None:
    async with constant_server("application/json", b'{"_shards": {"failed": 0}, "aggregations": {}}') as url:
        with closing(HttpClient(url, seconds=5, connections=1)) as client, pytest.raises(BackendUnavailableError):
            await ElasticsearchTripSearch(client, "trips").lookups()


@pytest.mark.parametrize("entry", [b"", b"x", b"\x00" * 20, b"\xff" * 200, b'{"json": 1}'])
async def test_foreign_cache_entry_is_ignored(unlimited: Settings, redis: Redis, trip: int, entry: bytes) -> None:
    await redis.flushdb()
    async with serving(unlimited) as api:
        first = await api.get("/api/v2/occurrences")
        for key in await redis.keys("smarttrip:cache:*"):
            await redis.set(key, entry, ex=60)
    async with serving(unlimited) as api:
        again = await api.get("/api/v2/occurrences")
    assert (again.status_code, again.json()) == (200, first.json())


@pytest.mark.parametrize("counter", [b"x", b"1e5", b"0x10", b"\xff", b"9" * 16, b"9" * 40])
async def test_malformed_generation_counter_is_waited_out(redis: Redis, counter: bytes) -> None:
    invalidation = InvalidationState()
    await redis.set(GENERATION_COUNTER, counter)
    async with background_task(subscribe_to_invalidations(redis, invalidation)):
        await invalidation.ready.wait()
        assert not invalidation.connected
        await redis.set(GENERATION_COUNTER, 5)
        await eventually(lambda: invalidation.connected)
        # Higher than 5 where this Redis has not counted before.
        assert invalidation.current == int(await redis.get(GENERATION_COUNTER)) >= 5


async def test_urls_of_clients_are_never_requested(unlimited: Settings, redis: Redis, trip: int) -> None:
    visits: list[Any] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(writer)
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    visit = event(page_url=url, referrer=url, metadata={"url": url})
    headers = {"Referer": url, "X-Forwarded-Host": url, "Forwarded": f"host={url}", "Origin": url}
    async with serving(unlimited) as api:
        assert (await api.post("/api/events", json=visit, headers=headers)).status_code == 202
        assert (await api.post("/api/session/start", json=visit, headers=headers)).status_code == 200
        assert (await api.post("/api/v2/recommendations", json={"url": url}, headers=headers)).status_code == 200
    server.close()
    assert visits == []


def headers_of(response: httpx2.Response) -> set[str]:
    return {name.lower() for name in response.headers}


async def test_responses_do_not_name_the_server(server: str) -> None:
    async with http_client(server) as client:
        for path in ("/livez", "/api/locations", "/nothing"):
            assert headers_of(await client.get(path)).isdisjoint({"server", "x-powered-by", "via"})
