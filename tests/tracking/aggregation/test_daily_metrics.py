"""Figures of the days, as the platform's dashboards read them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tables import RecommendationMetricsDaily
from tests.support.rows import rows
from tests.support.tracking.entries import request_log
from tracking.aggregation.daily import aggregate_days
from tracking.writers.batches import store


def today() -> date:
    return datetime.now(UTC).date()


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


async def test_metrics_of_a_day(database: AsyncEngine) -> None:
    best = [90, 70, 40, None]
    times = [10, 20, 30, 1000]
    await store(
        database,
        [
            request_log(
                created_at=at(today()),
                session_id=f"session {number % 2}",
                response_time_ms=times[number],
                result_trip_ids=[] if score is None else [1, 2],
                result_scores=[] if score is None else [score, 35],
                relaxed_count=1 if score == 40 else 0,
            )
            for number, score in enumerate(best)
        ],
    )
    await aggregate_days(database)
    (row,) = await rows(database, RecommendationMetricsDaily)
    assert row.date == today()
    assert (row.total_requests, row.unique_sessions) == (4, 2)
    assert row.avg_response_time_ms == 265
    percentiles = row.p50_response_time_ms, row.p95_response_time_ms, row.p99_response_time_ms
    # Between neighbours by their distance: 25, 30 + 0.85 * 970, 30 + 0.97 * 970.
    assert percentiles == (25, 854, 971)
    assert row.max_response_time_ms == 1000
    assert (row.avg_top_score, row.avg_result_count) == (Decimal("66.67"), Decimal("1.50"))
    assert (row.relaxed_trigger_rate, row.no_results_rate, row.low_score_rate) == (Decimal("0.25"),) * 3


async def test_top_lists_of_a_day(database: AsyncEngine) -> None:
    asked: list[dict[str, Any]] = [
        {"selected_countries": [3, 1], "selected_continents": ["Asia"], "preferred_type_id": 7, "budget": 9},
        {"selected_countries": [3], "preferred_theme_ids": [2, 4], "year": "2027"},
        {"preferred_type_id": 7, "month": "2"},
        {"preferences": {"start_date": "2027-01-01"}},
        {"year": "all"},
    ]
    await store(database, [request_log(created_at=at(today()), **values) for values in asked])
    await aggregate_days(database)
    (row,) = await rows(database, RecommendationMetricsDaily)
    searches = {name: count for name, count in row._mapping.items() if name.startswith("searches_with_")}
    assert searches == {
        "searches_with_country": 2,
        "searches_with_continent": 1,
        "searches_with_type": 2,
        "searches_with_themes": 1,
        "searches_with_dates": 3,
        "searches_with_budget": 1,
    }
    assert row.top_countries == [{"id": 3, "count": 2}, {"id": 1, "count": 1}]
    assert row.top_continents == [{"name": "Asia", "count": 1}]
    assert row.top_types == [{"id": 7, "count": 2}]
    assert row.top_themes == [{"id": 2, "count": 1}, {"id": 4, "count": 1}]


async def test_days_are_utc_days(database: AsyncEngine) -> None:
    day = today() - timedelta(days=3)
    last = at(day, 23) + timedelta(minutes=59, seconds=59)
    moments = [at(day, 0) - timedelta(milliseconds=1), at(day, 0), last, at(day, 0) + timedelta(days=1)]
    await store(database, [request_log(created_at=moment) for moment in moments])
    await aggregate_days(database)
    counts = {row.date: row.total_requests for row in await rows(database, RecommendationMetricsDaily)}
    assert counts == {day - timedelta(days=1): 1, day: 2, day + timedelta(days=1): 1}


async def test_days_without_requests_have_no_row(database: AsyncEngine) -> None:
    assert await aggregate_days(database) == 0
    await store(database, [request_log(created_at=at(today() - timedelta(days=4)))])
    await aggregate_days(database)
    assert len(await rows(database, RecommendationMetricsDaily)) == 1


async def test_aggregation_includes_late_requests(database: AsyncEngine) -> None:
    yesterday = today() - timedelta(days=1)
    for expected in (1, 2):
        await store(database, [request_log(created_at=at(yesterday)), request_log(created_at=at(today()))])
        await aggregate_days(database)
        await aggregate_days(database)
        days = {row.date: row.total_requests for row in await rows(database, RecommendationMetricsDaily)}
        assert days == {yesterday: expected, today(): expected}


async def test_missed_days_are_aggregated(database: AsyncEngine) -> None:
    known = today() - timedelta(days=6)
    async with database.begin() as connection:
        await connection.execute(insert(RecommendationMetricsDaily).values(day=known, total_requests=9))
    await store(database, [request_log(created_at=at(today() - timedelta(days=age))) for age in (2, 4)])
    await aggregate_days(database)
    days = {row.date for row in await rows(database, RecommendationMetricsDaily)}
    assert days == {known, today() - timedelta(days=2), today() - timedelta(days=4)}


async def test_metrics_survive_the_removal_of_requests(database: AsyncEngine) -> None:
    await store(database, [request_log(created_at=at(today()))])
    await aggregate_days(database)
    async with database.begin() as connection:
        await connection.execute(text("TRUNCATE recommendation_requests"))
    await aggregate_days(database)
    (row,) = await rows(database, RecommendationMetricsDaily)
    assert row.total_requests == 1


async def test_row_of_a_future_day_stops_nothing(database: AsyncEngine) -> None:
    future = {"date": today() + timedelta(days=400), "total_requests": 1}
    async with database.begin() as connection:
        await connection.execute(insert(RecommendationMetricsDaily).values(future))
    await store(database, [request_log(created_at=at(today())), request_log(created_at=at(future["date"]))])  # type: ignore[arg-type]
    await aggregate_days(database)
    assert {row.date for row in await rows(database, RecommendationMetricsDaily)} == {today(), future["date"]}
