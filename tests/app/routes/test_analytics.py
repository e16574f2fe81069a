"""Metrics of recommendation requests over HTTP."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import RecommendationMetricsDaily
from tests.support.api.responses import get
from tests.support.tracking.entries import request_log
from tracking.aggregation.daily import aggregate_days
from tracking.writers.batches import store

SUMMARY = "/api/metrics"
DAILY = "/api/metrics/daily"
TOP = "/api/metrics/top-searches"


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


async def log_requests(engine: AsyncEngine, moment: datetime) -> None:
    """Log four requests: two with good results, one relaxed with a low score, one without results."""
    for number, score in enumerate((90, 70, 40, None)):
        results = {"result_trip_ids": [], "result_scores": []} if score is None else {"result_scores": [score, 35]}
        values = {
            "created_at": moment,
            "session_id": f"session {number % 2}",
            "response_time_ms": (10, 20, 30, 1000)[number],
            "relaxed_count": int(score == 40),
        }
        await store(engine, [request_log(**values, **results)])


async def test_summary_has_only_numbers(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    await log_requests(database, ago(hours=1))
    assert await get(api, SUMMARY) == {
        "success": True,
        "data": {
            "period": "last_7_days",
            "total_requests": 4,
            "unique_sessions": 2,
            "avg_response_time_ms": 265,
            "p95_response_time_ms": 854,
            "avg_top_score": 66.67,
            "no_results_rate": 0.25,
            "relaxed_trigger_rate": 0.25,
        },
    }


async def test_summary_of_no_requests_is_zero(api: httpx2.AsyncClient) -> None:
    data = (await get(api, SUMMARY))["data"]
    assert data.pop("period") == "last_7_days"
    assert set(data.values()) == {0}


async def test_summary_covers_the_last_days(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    for days in (0, 1.9, 2.1, 6.9, 7.1, 89, 91):
        await store(database, [request_log(created_at=ago(days=days))])
    for query, requests in (({"days": 1}, 1), ({"days": 2}, 2), ({}, 4), ({"days": 90}, 6)):
        assert (await get(api, SUMMARY, **query))["data"]["total_requests"] == requests


async def test_each_day_has_its_metrics(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    day = date(2026, 11, 20)
    await log_requests(database, noon(day))
    await store(database, [request_log(created_at=noon(day), selected_countries=[1], budget=5, response_time_ms=40)])
    answer = await get(api, DAILY, start="2026-11-19", end="2026-11-21")
    assert (answer["start"], answer["end"], answer["count"]) == ("2026-11-19", "2026-11-21", 3)
    before, on, after = answer["data"]
    assert on == {
        "date": "2026-11-20",
        "total_requests": 5,
        "unique_sessions": 2,
        "avg_response_time_ms": 220,
        "p50_response_time_ms": 30,
        "p95_response_time_ms": 808,
        "p99_response_time_ms": 962,
        "max_response_time_ms": 1000,
        "avg_top_score": 72.5,
        "avg_result_count": 1.6,
        "relaxed_trigger_rate": 0.2,
        "no_results_rate": 0.2,
        "low_score_rate": 0.2,
        "searches_with_country": 1,
        "searches_with_continent": 0,
        "searches_with_type": 0,
        "searches_with_themes": 0,
        "searches_with_dates": 0,
        "searches_with_budget": 1,
    }
    assert (before.pop("date"), after.pop("date")) == ("2026-11-19", "2026-11-21")
    assert set(before.values()) == set(after.values()) == {0}


async def test_day_is_the_same_after_aggregation_and_purge(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    today = datetime.now(UTC).date()
    await log_requests(database, noon(today))
    live = await get(api, DAILY, start=today, end=today)
    await aggregate_days(database)
    assert await get(api, DAILY, start=today, end=today) == live
    async with database.begin() as connection:
        await connection.execute(text("TRUNCATE recommendation_requests"))
    assert await get(api, DAILY, start=today, end=today) == live


async def test_platform_row_with_nulls_has_numbers(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    async with database.begin() as connection:
        row = insert(RecommendationMetricsDaily).values(day=date(2026, 5, 1), total_requests=3)
        await connection.execute(row)
    (day,) = (await get(api, DAILY, start="2026-05-01", end="2026-05-01"))["data"]
    assert (day["total_requests"], day["avg_top_score"], day["searches_with_dates"]) == (3, 0, 0)


async def test_default_period_ends_today(api: httpx2.AsyncClient) -> None:
    today = datetime.now(UTC).date()
    answer = await get(api, DAILY)
    assert (answer["start"], answer["end"]) == (str(today - timedelta(days=6)), str(today))
    assert (await get(api, DAILY, start="2026-01-01", end="2026-03-31"))["count"] == 90


async def test_long_response_is_compressed_on_request(api: httpx2.AsyncClient) -> None:
    plain = await api.get(DAILY, headers={"Accept-Encoding": "identity"})
    small = await api.get(DAILY, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"])
    assert small.json() == plain.json()


async def test_top_searches_are_by_frequency(api: httpx2.AsyncClient, database: AsyncEngine) -> None:
    asked: list[dict[str, Any]] = [
        {"selected_countries": [3, 1], "selected_continents": ["Asia"], "preferred_type_id": 7},
        {"selected_countries": [3], "selected_continents": ["Asia", "Africa"], "preferred_theme_ids": [4, 2]},
        {"preferred_type_id": 7, "preferred_theme_ids": [2]},
        {"selected_countries": [9], "created_at": ago(days=8)},
    ]
    await store(database, [request_log(**values) for values in asked])
    assert await get(api, TOP) == {
        "success": True,
        "data": {
            "top_continents": [{"name": "Asia", "count": 2}, {"name": "Africa", "count": 1}],
            "top_countries": [{"id": 3, "count": 2}, {"id": 1, "count": 1}],
            "top_types": [{"id": 7, "count": 2}],
            "top_themes": [{"id": 2, "count": 2}, {"id": 4, "count": 1}],
        },
    }
    assert (await get(api, TOP, days=9))["data"]["top_countries"][-1] == {"id": 9, "count": 1}
    assert (await get(api, TOP, limit=1))["data"]["top_continents"] == [{"name": "Asia", "count": 2}]


BAD = [
    (SUMMARY, {"days": "0"}, "days"),
    (SUMMARY, {"days": "91"}, "days"),
    (SUMMARY, {"days": "-1"}, "days"),
    (SUMMARY, {"days": "week"}, "days"),
    (SUMMARY, {"days": "1.5"}, "days"),
    (SUMMARY, {"days": "9" * 5000}, "days"),
    (TOP, {"days": "91"}, "days"),
    (TOP, {"limit": "0"}, "limit"),
    (TOP, {"limit": "51"}, "limit"),
    (DAILY, {"start": "yesterday"}, "start"),
    (DAILY, {"start": "2026-02-30"}, "start"),
    (DAILY, {"start": "0"}, "start"),
    (DAILY, {"end": "2026-11-24\0"}, "end"),
    (DAILY, {"start": "2026-11-24", "end": "2026-11-23"}, "end"),
    (DAILY, {"start": "2026-01-01", "end": "2026-04-01"}, "end"),
    (DAILY, {"start": "2020-01-01"}, "end"),
]


@pytest.mark.parametrize(("path", "query", "field"), BAD)
async def test_parameters_are_bounded(api: httpx2.AsyncClient, path: str, query: dict[str, str], field: str) -> None:
    response = await api.get(path, params=query)
    assert response.status_code == 400, response.text
    assert [detail["field"] for detail in response.json()["details"]] == [field]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_first_and_last_days_of_the_calendar(api: httpx2.AsyncClient, day: str) -> None:
    assert (await get(api, DAILY, start=day, end=day))["count"] == 1
    assert (await get(api, DAILY, end=day))["end"] == day
