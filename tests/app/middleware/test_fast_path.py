"""The short ways give what the long way gives, as long as that holds."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from app.main import create_app
from core.settings import Settings
from indexer.invalidation import publish
from tests.app.observability.test_request_metrics import Figures
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
        app.state.held = state
        yield app


@pytest.fixture
async def api(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async def stateful(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = dict(app.state.held)
        await app(scope, receive, send)

    transport = httpx2.ASGITransport(app=stateful)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


def only_short_ways(app: Starlette) -> None:
    app.router.routes.clear()


async def search(
    api: httpx2.AsyncClient, headers: dict[str, str] | None = None, content: bytes = SEARCH
) -> httpx2.Response:
    return await api.post(RECOMMENDATIONS, content=content, headers={**JSON, **(headers or {})})


def without_ids(answer: httpx2.Response) -> tuple[int, dict[str, str], Any]:
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "content-length"}}
    return answer.status_code, headers, {**answer.json(), "request_id": ""}


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://evil.example"])
async def test_both_ways_give_the_same(app: Starlette, api: httpx2.AsyncClient, coding: str, origin: str) -> None:
    headers = {"Accept-Encoding": coding, "Origin": origin}
    long = [await search(api, headers), await api.get(LOCATIONS, headers=headers)]
    only_short_ways(app)
    short = [await search(api, headers), await api.get(LOCATIONS, headers=headers)]
    assert [*map(without_ids, short)] == [*map(without_ids, long)]
    assert {answer.status_code for answer in short} == {200}
    assert short[0].json()["request_id"] != long[0].json()["request_id"]


async def test_what_a_client_has_is_not_sent_again(app: Starlette, api: httpx2.AsyncClient) -> None:
    etag = (await api.get(LOCATIONS)).headers["etag"]
    only_short_ways(app)
    assert (await api.get(LOCATIONS, headers={"If-None-Match": etag})).status_code == 304


async def test_what_nobody_asked_for_has_no_short_way(app: Starlette, api: httpx2.AsyncClient) -> None:
    await search(api)
    await api.get(LOCATIONS)
    only_short_ways(app)
    assert (await search(api, content=SEARCH + b" ")).status_code == 404
    assert (await search(api, {"Accept-Encoding": "identity"})).status_code == 404
    assert (await api.get(LOCATIONS, params={"other": 1})).status_code == 404
    assert (await api.head(LOCATIONS)).status_code == 404


async def test_the_same_bytes_that_are_not_said_to_be_json_are_refused(api: httpx2.AsyncClient) -> None:
    await search(api)
    assert (await search(api, {"Content-Type": "text/plain"})).status_code == 415


async def test_requests_are_counted_for_their_route(app: Starlette, api: httpx2.AsyncClient) -> None:
    figures = Figures(api)
    await search(api)
    await api.get(LOCATIONS)
    await api.get("/metrics")
    before = [await figures.requests(route=route, status="200") for route in (RECOMMENDATIONS, LOCATIONS)]
    await search(api)
    await api.get(LOCATIONS)
    after = [await figures.requests(route=route, status="200") for route in (RECOMMENDATIONS, LOCATIONS)]
    assert after == [count + 1 for count in before]


async def test_a_change_ends_the_short_way(api: httpx2.AsyncClient, redis: Redis, catalogue: CatalogueFactory) -> None:
    before = (await api.get(LOCATIONS)).json()["count"]
    await catalogue.country()
    assert (await api.get(LOCATIONS)).json()["count"] == before
    await publish(redis, ["country"])

    async def follows() -> bool:
        return bool((await api.get(LOCATIONS)).json()["count"] == before + 1)

    await eventually(follows, within=2)
