"""Fallbacks respond with the same trips as the dependency that they replace, and mark responses that are degraded."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson
import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from core.configuration.settings import Settings
from indexer.invalidation_publisher import publish
from tests.fault_injection.api.conftest import SearchBodies
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.http_client import http_client

FROM_DATABASE = '199 - "Answered from the database"'
WITHOUT_DATABASE = '199 - "Answered without the database"'


async def search(api: httpx2.AsyncClient, body: dict[str, Any]) -> httpx2.Response:
    return await api.post("/api/v2/recommendations", json=body)


def without_marks(response: httpx2.Response) -> dict[str, Any]:
    """Return the body without what differs between two responses of equal content."""
    assert response.status_code == 200
    return {name: value for name, value in response.json().items() if name not in ("request_id", "degraded")}


@pytest.fixture
def few_bodies(search_bodies: SearchBodies) -> SearchBodies:
    """A few search bodies, the first without preferences."""
    return [{}, *search_bodies[:20]]


@pytest.fixture
def uncached(settings: Settings) -> Settings:
    """Settings under which no recommendation comes from a cache."""
    return settings.model_copy(update={"answer_cache_seconds": 0})


@pytest.fixture
async def expected(uncached: Settings, few_bodies: SearchBodies) -> Sequence[dict[str, Any]]:
    """The responses while all dependencies are up, one for each of `few_bodies`."""
    async with serving(uncached) as api:
        responses = [await search(api, body) for body in few_bodies]
    assert not any("degraded" in response.json() or "Warning" in response.headers for response in responses)
    assert responses[0].json()["count"] == 30
    return [*map(without_marks, responses)]


def assert_degraded(response: httpx2.Response, warning: str) -> None:
    assert response.json()["degraded"] is True
    assert response.headers["Warning"] == warning


async def test_postgres_fallback_equals_elasticsearch(
    uncached: Settings, few_bodies: SearchBodies, expected: Sequence[dict[str, Any]]
) -> None:
    async with FaultProxy(uncached.elasticsearch_url) as proxy:
        await proxy.switch(Mode.CUT)
        async with serving(uncached.model_copy(update={"elasticsearch_url": proxy.url})) as api:
            responses = [await search(api, body) for body in few_bodies]
    for response in responses:
        assert_degraded(response, FROM_DATABASE)
    assert [*map(without_marks, responses)] == expected


def searches_with(results: str) -> float:
    return REGISTRY.get_sample_value("smarttrip_recommendation_searches_total", {"results": results}) or 0.0


async def test_searches_are_counted_by_results(uncached: Settings, few_bodies: SearchBodies) -> None:
    some, none = searches_with("some"), searches_with("none")
    async with serving(uncached) as api:
        await search(api, few_bodies[0])
    assert (searches_with("some"), searches_with("none")) == (some + 1, none)


async def test_index_alone_serves_a_start_without_postgres(
    uncached: Settings, few_bodies: SearchBodies, expected: Sequence[dict[str, Any]], redis: Redis
) -> None:
    await redis.flushdb()
    async with FaultProxy(uncached.database_url) as proxy:
        await proxy.switch(Mode.CUT)
        async with serving(uncached.model_copy(update={"database_url": proxy.url})) as api:
            assert (await api.get("/readyz")).status_code == 200
            responses = [await search(api, body) for body in few_bodies]
    for body, response, usual in zip(few_bodies, responses, expected, strict=True):
        assert_degraded(response, WITHOUT_DATABASE)
        # The index does not contain countries without trips.
        if not body.get("selected_countries"):
            assert without_marks(response) == usual


async def test_response_from_outdated_lookups_is_marked(
    uncached: Settings, sample_catalogue: object, redis: Redis
) -> None:
    async with (
        FaultProxy(uncached.database_url) as proxy,
        serving(uncached.model_copy(update={"database_url": proxy.url})) as api,
    ):
        assert "Warning" not in (await search(api, {})).headers
        await proxy.switch(Mode.CUT)
        await publish(redis, ["country"])

        async def is_marked() -> bool:
            response = await search(api, {})
            assert response.status_code == 200
            return response.headers.get("Warning") == WITHOUT_DATABASE

        await eventually(is_marked)


async def test_cached_resources_survive_postgres(settings: Settings, sample_catalogue: object) -> None:
    async with (
        FaultProxy(settings.database_url) as proxy,
        serving(settings.model_copy(update={"database_url": proxy.url})) as api,
    ):
        before = await api.get("/api/countries")
        await proxy.switch(Mode.CUT)
        cached = await api.get("/api/countries")
        uncached = await api.get("/api/tags")
    assert cached.status_code == 200
    assert cached.json() == before.json()
    assert uncached.status_code == 503
    assert int(uncached.headers["retry-after"]) > 0


@asynccontextmanager
async def partial_elasticsearch(url: str, **damage: Any) -> AsyncIterator[str]:
    """Forward requests to the Elasticsearch at `url`; merge `damage` into responses of searches, and drop hits."""

    async def forward(request: web.Request) -> web.Response:
        async with http_client(url) as client:
            real = await client.request(
                request.method,
                str(request.rel_url),
                content=await request.read(),
                headers={"content-type": request.headers.get("content-type", "application/json")},
            )
        body = real.content
        if request.path.endswith(("/_search", "/_count")):
            found = orjson.loads(body)
            if "hits" in found:
                found["hits"]["hits"] = found["hits"]["hits"][:1]
            body = orjson.dumps({**found, **damage})
        product = {"X-Elastic-Product": "Elasticsearch"}
        return web.Response(status=real.status_code, body=body, content_type="application/json", headers=product)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "damage",
    [{"_shards": {"total": 2, "successful": 1, "skipped": 0, "failed": 1}}, {"timed_out": True}],
    ids=["failed shard", "timed out"],
)
async def test_partial_search_results_are_not_used(
    uncached: Settings, few_bodies: SearchBodies, expected: Sequence[dict[str, Any]], damage: dict[str, Any]
) -> None:
    async with (
        partial_elasticsearch(uncached.elasticsearch_url, **damage) as url,
        FaultProxy(uncached.database_url) as database,
        serving(uncached.model_copy(update={"elasticsearch_url": url, "database_url": database.url})) as api,
    ):
        fallback = await search(api, few_bodies[0])
        await database.switch(Mode.CUT)

        async def is_rejected() -> bool:
            return (await search(api, few_bodies[1])).status_code == 503

        await eventually(is_rejected, within=10)
    assert_degraded(fallback, FROM_DATABASE)
    assert without_marks(fallback) == expected[0]
