"""Queries of the metrics of recommendation requests."""

from collections.abc import Mapping
from datetime import date
from math import isfinite
from typing import Any

from sqlalchemy import text

from app.backends.database import ReadSession
from tracking.aggregation.daily_metrics import METRIC_COLUMNS, PERIOD, SELECTED, TOP_LISTS, bounds, top_query

LAST_DAYS = "created_at BETWEEN now() - make_interval(days => :days) AND now() + interval '1 day'"

SUMMARY = text(f"SELECT {SELECTED} FROM recommendation_requests WHERE {LAST_DAYS}")  # noqa: S608  # of constants

# A day's requests may have been deleted, or not be aggregated yet: the source that counts more of them is complete.
DAILY = text(f"""
SELECT DISTINCT ON (date) * FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS date, {SELECTED}
    FROM recommendation_requests WHERE {PERIOD} GROUP BY 1
    UNION ALL
    SELECT date, {", ".join(METRIC_COLUMNS)} FROM recommendation_metrics_daily WHERE date BETWEEN :first AND :last
) AS candidates
ORDER BY date, total_requests DESC
""")  # noqa: S608  # of constants

TOP_QUERIES = {name: text(top_query(values, LAST_DAYS)) for name, (_, values) in TOP_LISTS.items()}


async def summarize(session: ReadSession, days: int) -> Mapping[str, Any]:
    """Return the metrics of the last days as one row."""
    return _zero_for_null((await session.execute(SUMMARY, {"days": days})).mappings().one())


async def find_daily_metrics(session: ReadSession, first: date, last: date) -> dict[date, Mapping[str, Any]]:
    """Return the metrics of the days that have requests, by day."""
    rows = await session.execute(DAILY, {"first": first, "last": last, **bounds(first, last)})
    return {row["date"]: _zero_for_null(row) for row in rows.mappings()}


async def find_top_searches(session: ReadSession, days: int, limit: int) -> dict[str, list[dict[str, Any]]]:
    """Return the most frequent values of the last days, by the name of their list."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for name, statement in TOP_QUERIES.items():
        key = TOP_LISTS[name][0]
        rows = await session.execute(statement, {"limit": limit, "days": days})
        lists[name] = [{key: value, "count": count} for value, count in rows]
    return lists


def _zero_for_null(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the metrics with 0 for averages and percentiles of no requests, and for what is no number."""
    return {name: row[name] if row[name] is not None and isfinite(row[name]) else 0 for name in METRIC_COLUMNS}
