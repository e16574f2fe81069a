"""A rollout over HTTP: who is answered with what, how it is told apart, and how a bad one is turned back."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rollout import rollouts
from indexer.rollout.criteria import AbortCriteria
from indexer.rollout.outcomes import check
from indexer.rollout.weight_sets import add
from scoring.weights import Weights
from tests.app.conftest import ADMIN_KEY
from tests.support.api.serving import serving
from tests.support.eventually import eventually

PATH = "/api/v2/recommendations"
WEIGHTS, VARIANT = "X-Scoring-Weights", "X-Rollout-Variant"
CRITERIA = AbortCriteria(at_least=10, slower=100, more_failures=1)
"""Only empty lists count: on a busy machine searches are slow, and degraded."""
NOTHING_SHOWN = Weights(base=0, ideal_duration=0, good_duration=0, last_places=0, country=100)
"""Valid, and bad: a search for anything but a country shows hardly anything."""


@pytest.fixture(autouse=True)
def frequent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.recommendations.rollout.monitor.POLL_SECONDS", 0.05)


@pytest.fixture
async def sets(sample_index: None, database: AsyncEngine) -> AsyncEngine:
    async with database.begin() as connection:
        await add(connection, "summer", Weights(continent=14), by="dana")
        await add(connection, "bad", NOTHING_SHOWN, by="dana")
    return database


@asynccontextmanager
async def proxied(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve behind a trusted proxy, which names the address of each client."""
    own = {"trusted_proxies": [ip_network("127.0.0.1")], "admin_key": SecretStr(ADMIN_KEY)}
    async with serving(settings.model_copy(update=own)) as api:
        yield api


@asynccontextmanager
async def in_rollout(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve as `proxied` does, once the process has loaded the rollout that runs."""
    async with proxied(settings) as api:

        async def is_loaded() -> bool:
            return VARIANT in (await search(api)).headers

        await eventually(is_loaded, within=60)
        yield api


async def begin(engine: AsyncEngine, candidate: str, percent: int) -> None:
    async with engine.begin() as connection:
        await rollouts.start(connection, "platform", candidate, percent, CRITERIA, by="dana")


async def search(api: httpx2.AsyncClient, client: int = 1, **body: Any) -> httpx2.Response:
    response = await api.post(PATH, json=body, headers={"X-Forwarded-For": f"192.0.2.{client}"})
    assert response.status_code == 200
    return response


async def eventually_answered_with(api: httpx2.AsyncClient, weights: str, client: int = 1) -> None:
    """Wait until the process answers this client with these weights."""

    async def is_answered() -> bool:
        return (await search(api, client)).headers[WEIGHTS] == weights

    await eventually(is_answered, within=60)


async def test_share_of_the_clients_is_answered_by_the_candidate_and_stays(
    settings: Settings, sets: AsyncEngine
) -> None:
    await begin(sets, "summer@1", 40)
    async with in_rollout(settings) as api:
        first = [(await search(api, client)).headers for client in range(200)]
        again = [(await search(api, client)).headers for client in range(200)]
    assert [each[WEIGHTS] for each in first] == [each[WEIGHTS] for each in again]
    assert {(each[WEIGHTS], each[VARIANT]) for each in first} == {("summer@1", "candidate"), ("platform", "stable")}
    assert 40 <= Counter(each[VARIANT] for each in first)["candidate"] <= 120


async def test_clients_of_a_smaller_share_stay_when_it_grows(settings: Settings, sets: AsyncEngine) -> None:
    chosen = []
    for percent in (20, 60):
        await begin(sets, "summer@1", percent)
        async with in_rollout(settings) as api:
            chosen.append({client for client in range(100) if await is_candidate(api, client)})
    assert chosen[0] < chosen[1]


async def is_candidate(api: httpx2.AsyncClient, client: int) -> bool:
    return (await search(api, client)).headers[VARIANT] == "candidate"


async def test_both_processes_answer_a_client_with_the_same(settings: Settings, sets: AsyncEngine) -> None:
    await begin(sets, "summer@1", 50)
    async with in_rollout(settings) as one, in_rollout(settings) as other:
        for client in range(50):
            assert (await search(one, client)).headers[VARIANT] == (await search(other, client)).headers[VARIANT]


async def test_variants_never_share_cached_responses(settings: Settings, sets: AsyncEngine) -> None:
    await begin(sets, "summer@1", 50)
    async with in_rollout(settings) as api:
        for client in range(40):
            response = await search(api, client, selected_continents=["asia"])
            points = {line["points"] for trip in response.json()["data"] for line in trip["score_breakdown"]}
            assert (14 in points) == (response.headers[VARIANT] == "candidate")


async def test_processes_follow_what_begins_is_promoted_and_is_rolled_back(
    settings: Settings, sets: AsyncEngine
) -> None:
    async with proxied(settings) as api:
        response = await search(api)
        assert (response.headers[WEIGHTS], response.headers.get(VARIANT)) == ("platform", None)
        await begin(sets, "summer@1", 100)
        await eventually_answered_with(api, "summer@1")
        async with sets.begin() as connection:
            await rollouts.promote(connection, by="dana")

        async def is_promoted() -> bool:
            return VARIANT not in (await search(api)).headers

        await eventually(is_promoted, within=60)
        assert (await search(api)).headers[WEIGHTS] == "summer@1"
        async with sets.begin() as connection:
            await rollouts.roll_back(connection, by="dana")
        await eventually_answered_with(api, "platform")


async def test_variants_are_told_apart_in_metrics(settings: Settings, sets: AsyncEngine) -> None:
    await begin(sets, "summer@1", 50)
    async with in_rollout(settings) as api:
        before = await counted(api)
        variants = Counter([(await search(api, client)).headers[VARIANT] for client in range(30)])
        after = await counted(api)
    assert {variant: after[variant] - before[variant] for variant in variants} == variants


async def counted(api: httpx2.AsyncClient) -> dict[str, int]:
    """Return the requests by variant; on a busy machine some may be degraded, which count as failed."""
    lines = (await api.get("/metrics")).text.splitlines()
    requests = [line for line in lines if line.startswith("smarttrip_rollout_requests_total")]
    return {
        variant: sum(int(float(line.split()[-1])) for line in requests if f'variant="{variant}"' in line)
        for variant in ("stable", "candidate")
    }


async def test_bad_weights_are_turned_back_by_the_job(settings: Settings, sets: AsyncEngine) -> None:
    """The worked example of docs/how-to/roll-out-gradually.md."""
    await begin(sets, "bad@1", 50)
    async with in_rollout(settings) as api:
        searches = ({"budget": 10_000 + number} for number in range(10_000))

        async def is_turned_back() -> bool:
            for client in range(20):
                await search(api, client, **next(searches))
            async with sets.begin() as connection:
                return await check(connection) is not None

        await eventually(is_turned_back, within=60)
        for client in range(20):
            await eventually_answered_with(api, "platform", client)
    async with sets.connect() as connection:
        (record,) = await rollouts.history(connection)
    assert (record.candidate, record.ended_by) == ("bad@1", "worker")
    assert "found nothing" in (record.reason or "")
