"""Figures of the recommendation requests."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import text

from app.backends.database import ReadSession
from tracking.daily_metrics import METRIC_COLUMNS, PERIOD, SELECTED, TOP_LISTS, bounds, top_query

SUMMARY = text(f"SELECT {SELECTED} FROM recommendation_requests WHERE {PERIOD}")  # noqa: S608  # of constants

# A day's requests may be removed, or not be aggregated yet: what knows of more of them is right.
DAILY = text(f"""
SELECT DISTINCT ON (date) * FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS date, {SELECTED}
    FROM recommendation_requests WHERE {PERIOD} GROUP BY 1
    UNION ALL
    SELECT date, {", ".join(METRIC_COLUMNS)} FROM recommendation_metrics_daily WHERE date BETWEEN :first AND :last
) AS known
ORDER BY date, total_requests DESC
""")  # noqa: S608  # of constants

TOP_QUERIES = {name: text(top_query(values)) for name, (_, values) in TOP_LISTS.items()}


async def summary(session: ReadSession, days: int) -> Mapping[str, Any]:
    return _numbers((await session.execute(SUMMARY, _last(days))).mappings().one())


async def daily(session: ReadSession, first: date, last: date) -> dict[date, Mapping[str, Any]]:
    """Days with requests only."""
    rows = await session.execute(DAILY, {"first": first, "last": last, **bounds(first, last)})
    return {row["date"]: _numbers(row) for row in rows.mappings()}


async def top_searches(session: ReadSession, days: int, limit: int) -> dict[str, list[dict[str, Any]]]:
    lists: dict[str, list[dict[str, Any]]] = {}
    for name, statement in TOP_QUERIES.items():
        key = TOP_LISTS[name][0]
        rows = await session.execute(statement, {"limit": limit, **_last(days)})
        lists[name] = [{key: value, "count": count} for value, count in rows]
    return lists


def _last(days: int) -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"since": now - timedelta(days=days), "until": now + timedelta(days=1)}


def _numbers(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A figure of nothing is 0."""
    return {name: row[name] or 0 for name in METRIC_COLUMNS}
