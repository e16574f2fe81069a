"""The fast path sends the same responses as routing and handlers, until a change invalidates them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from app.main import create_app
from core.configuration.settings import Settings
from indexer.invalidation_publisher import publish
from tests.app.observability.test_request_metrics import ExportedMetrics
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory

SEARCH = orjson.dumps({"difficulty": 2, "budget": 9000})
JSON = {"Content-Type": "application/json"}
RECOMMENDATIONS = "/api/v2/recommendations"
LOCATIONS = "/api/locations"


@pytest.fixture
async def app(settings: Settings, sample_index: None) -> AsyncIterator[Starlette]:
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        app.state.lifespan_state = state
        yield app


@pytest.fixture
async def api(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async def stateful(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = dict(app.state.lifespan_state)
        await app(scope, receive, send)

    transport = httpx2.ASGITransport(app=stateful)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


def remove_routes(app: Starlette) -> None:
    """Leave only the fast path to respond with a success."""
    app.router.routes.clear()


async def search(
    api: httpx2.AsyncClient, headers: dict[str, str] | None = None, content: bytes = SEARCH
) -> httpx2.Response:
    return await api.post(RECOMMENDATIONS, content=content, headers={**JSON, **(headers or {})})


def without_ids(response: httpx2.Response) -> tuple[int, dict[str, str], Any]:
    headers = {
        name: value for name, value in response.headers.items() if name not in {"x-request-id", "content-length"}
    }
    return response.status_code, headers, {**response.json(), "request_id": ""}


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://evil.example"])
async def test_fast_path_response_equals_usual_one(
    app: Starlette, api: httpx2.AsyncClient, coding: str, origin: str
) -> None:
    headers = {"Accept-Encoding": coding, "Origin": origin}
    usual = [await search(api, headers), await api.get(LOCATIONS, headers=headers)]
    remove_routes(app)
    fast = [await search(api, headers), await api.get(LOCATIONS, headers=headers)]
    assert [*map(without_ids, fast)] == [*map(without_ids, usual)]
    assert {response.status_code for response in fast} == {200}
    assert fast[0].json()["request_id"] != usual[0].json()["request_id"]


async def test_fast_path_supports_304(app: Starlette, api: httpx2.AsyncClient) -> None:
    etag = (await api.get(LOCATIONS)).headers["etag"]
    remove_routes(app)
    assert (await api.get(LOCATIONS, headers={"If-None-Match": etag})).status_code == 304


async def test_other_requests_take_usual_path(app: Starlette, api: httpx2.AsyncClient) -> None:
    await search(api)
    await api.get(LOCATIONS)
    remove_routes(app)
    assert (await search(api, content=SEARCH + b" ")).status_code == 404
    assert (await search(api, {"Accept-Encoding": "identity"})).status_code == 404
    assert (await api.get(LOCATIONS, params={"other": 1})).status_code == 404
    assert (await api.head(LOCATIONS)).status_code == 404


async def test_same_body_with_other_type_is_rejected(api: httpx2.AsyncClient) -> None:
    await search(api)
    assert (await search(api, {"Content-Type": "text/plain"})).status_code == 415


async def test_fast_path_counts_its_route(app: Starlette, api: httpx2.AsyncClient) -> None:
    metrics = ExportedMetrics(api)
    await search(api)
    await api.get(LOCATIONS)
    await api.get("/metrics")
    before = [await metrics.requests(route=route, status="200") for route in (RECOMMENDATIONS, LOCATIONS)]
    await search(api)
    await api.get(LOCATIONS)
    after = [await metrics.requests(route=route, status="200") for route in (RECOMMENDATIONS, LOCATIONS)]
    assert after == [count + 1 for count in before]


async def test_search_is_cached_until_a_change(app: Starlette, api: httpx2.AsyncClient, redis: Redis) -> None:
    """The server then knows that it needs no search."""
    state = app.state.lifespan_state
    headers = [(b"content-type", b"application/json"), (b"accept-encoding", b"gzip")]
    scope = {"method": "POST", "path": RECOMMENDATIONS, "query_string": b"", "headers": headers, "state": dict(state)}
    await search(api, {"Accept-Encoding": "gzip"})
    assert state["fast_path"].is_cached(scope, SEARCH)
    assert not state["fast_path"].is_cached(scope, SEARCH + b" ")
    await publish(redis, ["country"])
    await eventually(lambda: not state["fast_path"].is_cached(scope, SEARCH))
    await search(api, {"Accept-Encoding": "gzip"})
    assert state["fast_path"].is_cached(scope, SEARCH)


async def test_change_invalidates_fast_path(api: httpx2.AsyncClient, redis: Redis, catalogue: CatalogueFactory) -> None:
    before = (await api.get(LOCATIONS)).json()["count"]
    await catalogue.country()
    assert (await api.get(LOCATIONS)).json()["count"] == before
    await publish(redis, ["country"])

    async def shows_change() -> bool:
        return bool((await api.get(LOCATIONS)).json()["count"] == before + 1)

    await eventually(shows_change)
