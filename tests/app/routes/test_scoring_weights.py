"""Searches with other weights than the platform's: which are used, named and cached."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.concurrency.tasks import cancel_and_wait
from core.configuration.settings import Settings
from indexer.rollout.weight_sets import add
from schemas.tables import RecommendationRequest
from scoring.weights import Weights
from tests.app.conftest import ADMIN_KEY
from tests.support.api.serving import serving
from tests.support.eventually import eventually
from tests.support.rows import rows
from tracking.consumer import consume_stream

PATH = "/api/v2/recommendations"
SEARCH = {"selected_continents": ["asia"], "difficulty": 2}
HEADER = "X-Scoring-Weights"
ADMIN = {"X-Admin-Key": ADMIN_KEY}


@pytest.fixture
async def summer(sample_index: None, database: AsyncEngine) -> str:
    async with database.begin() as connection:
        return (await add(connection, "summer", Weights(continent=14, perfect_difficulty=1), by="dana")).reference


@pytest.fixture
async def api(settings: Settings, summer: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})) as client:
        yield client


def points(response: httpx2.Response) -> dict[str, int]:
    """Return the points of each rule that applies to the trips of a response."""
    assert response.status_code == 200
    return {line["rule"]: line["points"] for trip in response.json()["data"] for line in trip["score_breakdown"]}


async def search(api: httpx2.AsyncClient, **headers: str) -> httpx2.Response:
    return await api.post(PATH, json=SEARCH, headers=headers)


async def test_platforms_own_weights_are_used_and_named(api: httpx2.AsyncClient) -> None:
    response = await search(api)
    assert response.headers[HEADER] == "platform"
    assert points(response)["continent"] == 5


async def test_administrator_chooses_weights_for_one_request(api: httpx2.AsyncClient, summer: str) -> None:
    chosen = await search(api, **ADMIN, **{HEADER: summer})
    assert chosen.headers[HEADER] == summer
    assert (points(chosen)["continent"], points(chosen)["perfect_difficulty"]) == (14, 1)


async def test_cached_responses_never_mix_weights(api: httpx2.AsyncClient, summer: str) -> None:
    for _ in range(3):
        chosen, others = await search(api, **ADMIN, **{HEADER: summer}), await search(api)
        assert (points(chosen)["continent"], points(others)["continent"]) == (14, 5)
        assert (chosen.headers[HEADER], others.headers[HEADER]) == (summer, "platform")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"X-Admin-Key": "another key"}, 401), (ADMIN, 200)],
)
async def test_only_administrators_choose_weights(
    api: httpx2.AsyncClient, summer: str, headers: dict[str, str], status: int
) -> None:
    await search(api)
    assert (await search(api, **headers, **{HEADER: summer})).status_code == status


@pytest.mark.parametrize("reference", ["winter@1", "summer@2", "nonsense", "", "\xe9"])
async def test_unknown_weights_are_not_found(api: httpx2.AsyncClient, reference: str) -> None:
    named = [(b"x-admin-key", ADMIN_KEY.encode()), (HEADER.encode(), reference.encode("latin-1"))]
    response = await api.post(PATH, json=SEARCH, headers=named)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_setting_chooses_weights_of_a_process(settings: Settings, summer: str) -> None:
    async with serving(settings.model_copy(update={"scoring_weights": summer})) as api:
        response = await search(api)
    assert (response.headers[HEADER], points(response)["continent"]) == (summer, 14)


async def test_process_uses_the_platforms_weights_while_its_own_are_missing(settings: Settings, summer: str) -> None:
    async with serving(settings.model_copy(update={"scoring_weights": "winter@1"})) as api:
        response = await search(api)
    assert (response.headers[HEADER], points(response)["continent"]) == ("platform", 5)


async def test_request_log_names_the_weights(
    api: httpx2.AsyncClient, summer: str, redis: Redis, database: AsyncEngine
) -> None:
    await search(api)
    await search(api, **ADMIN, **{HEADER: summer})
    storing = asyncio.create_task(consume_stream(redis, database))

    async def logged() -> bool:
        return len(await rows(database, RecommendationRequest)) == 2

    await eventually(logged, within=30)
    await cancel_and_wait([storing])
    kept = await rows(database, RecommendationRequest)
    assert sorted(row.algorithm_version for row in kept) == ["v2", "v2+summer@1"]


async def test_scripts_of_allowed_origins_may_read_the_weights(api: httpx2.AsyncClient) -> None:
    response = await search(api, Origin="http://localhost:3000")
    assert HEADER in response.headers["Access-Control-Expose-Headers"]
