"""POST /api/v2/recommendations over HTTP."""

import asyncio
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.concurrency.tasks import cancel_and_wait
from schemas.api.recommendations import RecommendationsResponse
from schemas.tables import RecommendationRequest
from tests.support.eventually import eventually
from tests.support.rows import rows
from tracking.consumer import consume_stream

pytestmark = pytest.mark.usefixtures("sample_index")

SESSION = "1b671a64-40d5-491e-99b0-da01ff1f3341"
PATH = "/api/v2/recommendations"
SEARCHES: list[dict[str, Any]] = [
    {},
    {"selected_continents": ["asia"], "preferred_theme_ids": [1, 2, 4], "budget": "9000", "difficulty": 2},
    {"preferred_type_id": 10},
    {"selected_countries": [1], "budget": 1, "month": 2},
    {"selected_countries": [99_999], "year": "1999", "budget": 1},
]


@pytest.mark.parametrize("search", SEARCHES)
async def test_response_matches_the_contract(api: httpx2.AsyncClient, search: dict[str, Any]) -> None:
    response = await api.post(PATH, json=search)
    assert response.status_code == 200
    answer = RecommendationsResponse.model_validate_json(response.content)
    assert answer.count == len(answer.data) == answer.primary_count + answer.relaxed_count
    assert answer.total_candidates == answer.total_trips >= answer.primary_count
    assert answer.has_relaxed_results == (answer.relaxed_count > 0)
    assert answer.show_refinement_message == (not answer.data or answer.data[0].match_score < 70)
    assert [trip.is_relaxed for trip in answer.data] == sorted(trip.is_relaxed for trip in answer.data)
    for trip in answer.data:
        total = sum(line.points for line in trip.score_breakdown)
        assert trip.match_score == min(max(total, 0), 100) >= 30
        assert trip.match_details == [line.label for line in trip.score_breakdown if line.rule != "base"]


async def test_departure_is_complete_but_for_countries(api: httpx2.AsyncClient) -> None:
    trip = (await api.post(PATH, json={})).json()["data"][0]
    shown = (await api.get(f"/api/v2/occurrences/{trip['id']}")).json()["data"]
    del shown["template"]["countries"]
    assert {key: trip[key] for key in shown} == shown


async def test_missing_body_means_no_preferences(api: httpx2.AsyncClient) -> None:
    nothing, empty = await api.post(PATH), await api.post(PATH, json={})
    assert nothing.json()["data"] == empty.json()["data"]


async def test_invalid_field_is_named(api: httpx2.AsyncClient) -> None:
    body = b'{"budget": NaN, "selected_continents": ["Atlantis"], "selected_countries": 5}'
    response = await api.post(PATH, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    fields = {detail["field"] for detail in response.json()["details"]}
    assert fields == {"budget", "selected_continents", "selected_countries"}


async def test_cached_responses_are_logged_too(api: httpx2.AsyncClient, redis: Redis, database: AsyncEngine) -> None:
    search = {"difficulty": 3, "month": "all"}
    answers = [(await api.post(PATH, json=search, headers={"X-Session-ID": SESSION})).json() for _ in range(2)]
    storing = asyncio.create_task(consume_stream(redis, database))

    async def logged() -> bool:
        return len(await rows(database, RecommendationRequest)) == 2

    await eventually(logged, within=10)
    await cancel_and_wait([storing])
    kept = await rows(database, RecommendationRequest)
    assert {str(row.request_id) for row in kept} == {answer["request_id"] for answer in answers}
    for row in kept:
        assert (row.session_id, row.difficulty, row.month) == (SESSION, 3, None)
        assert row.result_trip_ids == [trip["id"] for trip in answers[0]["data"]]
