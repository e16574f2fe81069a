"""Scenarios through the real recommender, and why one of them fails."""

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from app.recommendations.engine import RankedResults, find_recommendations
from app.recommendations.trip_search.interface import TripSearch
from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from schemas.tables import EvaluationScenario
from scoring.context import SearchContext
from tests.support.api.responses import get
from tests.support.api.serving import serving
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import FaultProxy, Mode

SCENARIOS = "/api/evaluation/scenarios"
RUN = "/api/evaluation/run"


async def add(engine: AsyncEngine, *scenarios: dict[str, Any]) -> Sequence[int]:
    standard = {"name": "Dana", "preferences": {}, "expected_min_results": 0}
    ids = []
    async with engine.begin() as connection:
        for values in scenarios:
            new = insert(EvaluationScenario).values(standard | values).returning(EvaluationScenario.id)
            ids.append((await connection.execute(new)).scalar_one())
    return ids


async def run(api: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post(RUN, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["success"] is True
    return answer


@pytest.fixture
async def safari(settings: Settings, catalogue: CatalogueFactory) -> dict[str, int]:
    """Two departures of one trip, in the index."""
    country, trip_type = await catalogue.country(), await catalogue.trip_type()
    template = await catalogue.template(primary_country_id=country, trip_type_id=trip_type)
    for _ in range(2):
        await catalogue.occurrence(trip_template_id=template)
    await reindex(settings, lambda _progress: None)
    return {"country": country, "type": trip_type}


async def test_active_scenarios_are_listed(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    first, _, third = await add(
        database,
        {"description": "Likes snow", "category": "winter", "expected_min_results": 3},
        {"is_active": False},
        {"name": "Dan", "category": "beach", "expected_min_results": None},
    )
    dana = {"id": first, "name": "Dana", "description": "Likes snow", "category": "winter", "expected_min_results": 3}
    dan = {"id": third, "name": "Dan", "description": None, "category": "beach", "expected_min_results": None}
    assert await get(api, SCENARIOS) == {"success": True, "count": 2, "data": [dana, dan]}
    assert (await get(api, SCENARIOS, category="winter"))["data"] == [dana]
    assert (await get(api, SCENARIOS, category="'--"))["count"] == 0


async def test_scenario_passes_if_expectations_are_met(
    api: httpx2.AsyncClient, database: AsyncEngine, safari: dict[str, int]
) -> None:
    expected = {
        "preferences": {"selected_countries": [safari["country"]], "preferred_type_id": safari["type"], "year": "all"},
        "expected_min_results": 2,
        "expected_min_top_score": Decimal("56.50"),
        "expected_trip_types": [safari["type"]],
        "expected_countries": [safari["country"]],
    }
    (scenario,) = await add(database, expected)
    assert await run(api) == {
        "success": True,
        "total_scenarios": 1,
        "passed": 1,
        "failed": 0,
        # 30 to begin with, 12 for the duration, 15 for the country.
        "results": [
            {"id": scenario, "name": "Dana", "passed": True, "result_count": 2, "top_score": 57, "failures": []}
        ],
    }


FAILING: list[tuple[dict[str, Any], str]] = [
    ({"expected_min_results": 3}, "2 results, expected at least 3"),
    ({"expected_min_top_score": Decimal("42.01")}, "the top score is 42, expected at least 42.01"),
    ({"expected_trip_types": [99_999]}, "no trip of trip type 99999"),
    ({"expected_countries": [99_999]}, "no trip of country 99999"),
    ({"preferences": {"year": "soon"}}, "the preferences can't be understood. Please correct: year"),
    ({"preferences": []}, "the preferences can't be understood. Please correct: body"),
]


@pytest.mark.parametrize(("values", "reason"), FAILING)
async def test_scenario_reports_unmet_expectations(
    api: httpx2.AsyncClient, database: AsyncEngine, safari: dict[str, int], values: dict[str, Any], reason: str
) -> None:
    await add(database, values, {})
    answer = await run(api)
    assert (answer["passed"], answer["failed"]) == (1, 1)
    failed, passed = answer["results"]
    assert (failed["passed"], passed["passed"]) == (False, True)
    (failure,) = failed["failures"]
    assert failure.startswith(reason)


async def test_no_results_have_no_top_score(
    api: httpx2.AsyncClient, database: AsyncEngine, safari: dict[str, int]
) -> None:
    nowhere = {"selected_countries": [99_999]}
    await add(database, {"preferences": nowhere}, {"preferences": nowhere, "expected_min_top_score": Decimal(50)})
    passed, failed = (await run(api))["results"]
    assert (passed["passed"], passed["result_count"], passed["top_score"]) == (True, 0, None)
    assert failed["failures"] == ["the top score is missing, expected at least 50.00"]


async def test_scenarios_can_be_chosen(api: httpx2.AsyncClient, database: AsyncEngine, safari: dict[str, int]) -> None:
    first, second, inactive = await add(
        database, {"category": "winter"}, {"category": "beach"}, {"category": "beach", "is_active": False}
    )

    async def chosen(**body: Any) -> list[int]:
        return [result["id"] for result in (await run(api, **body))["results"]]

    assert await chosen() == [first, second]
    assert await chosen(category="beach") == [second]
    assert await chosen(scenario_ids=[inactive, first]) == [first, inactive]
    assert await chosen(category="beach", scenario_ids=[first, second, inactive]) == [second, inactive]
    assert await chosen(category="unheard of") == []
    assert await chosen(scenario_ids=None, category=None) == [first, second]


async def test_unknown_scenarios_are_named(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    (known,) = await add(database, {})
    response = await api.post(RUN, json={"scenario_ids": [999, known]})
    assert (response.status_code, response.json()["error"]) == (404, "Scenario 999 not found")
    response = await api.post(RUN, json={"scenario_ids": [999, 998, 999]})
    assert (response.status_code, response.json()["error"]) == (404, "Scenarios 998, 999 not found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"category": 5}, "category"),
        ({"category": "a\0"}, "category"),
        ({"category": "x" * 101}, "category"),
        ({"scenario_ids": "1"}, "scenario_ids"),
        ({"scenario_ids": [0]}, "scenario_ids.0"),
        ({"scenario_ids": [2**31]}, "scenario_ids.0"),
        ({"scenario_ids": ["1"]}, "scenario_ids.0"),
        ({"scenario_ids": [1] * 501}, "scenario_ids"),
    ],
)
async def test_invalid_choices_are_rejected_by_name(api: httpx2.AsyncClient, body: dict[str, Any], field: str) -> None:
    response = await api.post(RUN, json=body)
    assert response.status_code == 400
    assert [detail["field"] for detail in response.json()["details"]] == [field]


async def test_hundred_scenarios_run_in_seconds(
    api: httpx2.AsyncClient, database: AsyncEngine, sample_index: None
) -> None:
    ids = await add(database, *({"preferences": {"budget": 1000 + number * 100}} for number in range(100)))
    began = time.monotonic()
    answer = await run(api, scenario_ids=ids)
    assert answer["passed"] == answer["total_scenarios"] == 100
    assert time.monotonic() - began < 10


async def test_second_evaluation_is_rejected(
    api: httpx2.AsyncClient, database: AsyncEngine, safari: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(database, {})
    started, go_on = asyncio.Event(), asyncio.Event()

    async def wait_and_find(trips: TripSearch, search: SearchContext) -> RankedResults:
        started.set()
        await go_on.wait()
        return await find_recommendations(trips, search)

    monkeypatch.setattr("app.recommendations.service.find_recommendations", wait_and_find)
    first = asyncio.create_task(api.post(RUN, json={}))
    await started.wait()
    second = await api.post(RUN, json={})
    assert (second.status_code, second.json()["code"]) == (409, "conflict")
    go_on.set()
    assert (await first).status_code == 200
    assert (await api.post(RUN, json={})).status_code == 200


async def test_failing_evaluation_opens_no_other_breaker(
    settings: Settings, database: AsyncEngine, safari: dict[str, int]
) -> None:
    await add(database, *({"preferences": {"budget": 1000 + number}} for number in range(30)))
    async with FaultProxy(settings.elasticsearch_url) as proxy:
        impatient = {"elasticsearch_url": proxy.url, "elasticsearch_seconds": 0.2}
        async with serving(settings.model_copy(update=impatient)) as api:
            assert (await api.post("/api/v2/recommendations", json={})).status_code == 200
            await proxy.switch(Mode.STALL)
            for _ in range(3):
                assert (await api.post(RUN, json={})).status_code == 503
            await proxy.switch(Mode.PASS)
            response = await api.post("/api/v2/recommendations", json={"budget": 5000})
            assert (response.status_code, response.headers.get("Warning")) == (200, None)


async def test_evaluations_have_limits_of_their_own(settings: Settings, database: AsyncEngine) -> None:
    changed = {"rate_limit_enabled": True, "rate_limit_evaluation": "2/hour", "rate_limit_default": "9999/hour"}
    async with serving(settings.model_copy(update=changed)) as api:
        statuses = [(await api.post(RUN, json={})).status_code for _ in range(3)]
        other = (await api.get(SCENARIOS)).status_code
    assert (statuses, other) == ([200, 200, 429], 200)
