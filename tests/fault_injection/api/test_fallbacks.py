"""What stands in for a dependency that is down answers as well as it can, and says so where that is less."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson
import pytest
from aiohttp import web
from redis.asyncio import Redis

from core.settings import Settings
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode

Wishes = Sequence[dict[str, Any]]


async def search(api: httpx2.AsyncClient, wish: dict[str, Any]) -> httpx2.Response:
    return await api.post("/api/v2/recommendations", json=wish)


def substance(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200
    return {name: value for name, value in answer.json().items() if name not in ("request_id", "degraded")}


@pytest.fixture
def few(wishes: Wishes) -> Wishes:
    """The first is for everything."""
    return [{}, *wishes[:20]]


@pytest.fixture
def anew(settings: Settings) -> Settings:
    """Each answer is made anew."""
    return settings.model_copy(update={"answer_cache_seconds": 0})


@pytest.fixture
async def usual(anew: Settings, few: Wishes) -> Sequence[dict[str, Any]]:
    """The answers while all is well, to each of the few."""
    async with serving(anew) as api:
        answers = [await search(api, wish) for wish in few]
    assert not any("degraded" in answer.json() or "Warning" in answer.headers for answer in answers)
    assert answers[0].json()["count"] == 30
    return [*map(substance, answers)]


def assert_marked(answer: httpx2.Response, warning: str) -> None:
    assert answer.json()["degraded"] is True
    assert answer.headers["Warning"] == warning


async def test_without_elasticsearch_recommendations_are_the_same_and_marked(
    anew: Settings, few: Wishes, usual: Sequence[dict[str, Any]]
) -> None:
    async with FaultProxy(anew.elasticsearch_url) as way:
        await way.switch(Mode.CUT)
        async with serving(anew.model_copy(update={"elasticsearch_url": way.url})) as api:
            answers = [await search(api, wish) for wish in few]
    for answer in answers:
        assert_marked(answer, '199 - "Answered from the database"')
    assert [*map(substance, answers)] == usual


async def test_a_process_that_starts_without_postgres_recommends_from_the_index_alone(
    anew: Settings, few: Wishes, usual: Sequence[dict[str, Any]], redis: Redis
) -> None:
    await redis.flushdb()
    async with FaultProxy(anew.database_url) as way:
        await way.switch(Mode.CUT)
        async with serving(anew.model_copy(update={"database_url": way.url})) as api:
            assert (await api.get("/readyz")).status_code == 200
            answers = [await search(api, wish) for wish in few]
    for wish, answer, expected in zip(few, answers, usual, strict=True):
        assert_marked(answer, '199 - "Answered without the database"')
        # Of countries without trips the index knows nothing.
        if not wish.get("selected_countries"):
            assert substance(answer) == expected


async def test_without_postgres_resources_come_from_the_cache(settings: Settings, filled: object) -> None:
    async with (
        FaultProxy(settings.database_url) as way,
        serving(settings.model_copy(update={"database_url": way.url})) as api,
    ):
        before = await api.get("/api/countries")
        await way.switch(Mode.CUT)
        during = await api.get("/api/countries")
        refused = await api.get("/api/tags")
    assert during.status_code == 200
    assert during.json() == before.json()
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0


@asynccontextmanager
async def partial_elasticsearch(url: str, **damage: Any) -> AsyncIterator[str]:
    """Passes everything on to the one at `url`, and says of each search's answer that part of it is missing."""

    async def answer(request: web.Request) -> web.Response:
        async with httpx2.AsyncClient(base_url=url) as client:
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
    application.router.add_route("*", "/{path:.*}", answer)
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
    ids=["a shard failed", "out of time"],
)
async def test_part_of_an_answer_is_never_passed_off_as_all(
    anew: Settings, few: Wishes, usual: Sequence[dict[str, Any]], damage: dict[str, Any]
) -> None:
    async with (
        partial_elasticsearch(anew.elasticsearch_url, **damage) as url,
        FaultProxy(anew.database_url) as database,
        serving(anew.model_copy(update={"elasticsearch_url": url, "database_url": database.url})) as api,
    ):
        stand_in = await search(api, few[0])
        await database.switch(Mode.CUT)

        async def refuses() -> bool:
            return (await search(api, few[1])).status_code == 503

        await eventually(refuses, within=10)
    assert_marked(stand_in, '199 - "Answered from the database"')
    assert substance(stand_in) == usual[0]
