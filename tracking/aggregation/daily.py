"""The job that aggregates recommendation requests into daily metrics."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.postgres.batched_changes import change_rows
from tracking.aggregation.daily_metrics import METRIC_COLUMNS, PERIOD, TOP_LISTS, bounds, top_query

TOP = 10
"""Length of the lists of most frequent values."""


def _top_json(key: str, values: str) -> str:
    entry = f"jsonb_build_object('{key}', value, 'count', n)"
    return f"(SELECT coalesce(jsonb_agg({entry} ORDER BY n DESC, value), '[]') FROM ({top_query(values)}) AS most)"  # noqa: S608


_COLUMNS = (*METRIC_COLUMNS, *TOP_LISTS)

UPSERT = text(f"""
INSERT INTO recommendation_metrics_daily (date, {", ".join(_COLUMNS)}, created_at, updated_at)
SELECT :day, {", ".join(METRIC_COLUMNS.values())},
    {", ".join(_top_json(*of) for of in TOP_LISTS.values())}, now(), now()
FROM recommendation_requests
WHERE {PERIOD}
HAVING count(*) > 0
ON CONFLICT (date) DO UPDATE SET
    {", ".join(f"{column} = excluded.{column}" for column in _COLUMNS)}, updated_at = now()
""")  # noqa: S608  # of constants

TODAY = text("SELECT (now() AT TIME ZONE 'UTC')::date")
"""By the clock of Postgres, one for all workers."""

FIRST_DAY = text("""
SELECT coalesce(
    (SELECT max(date) - 1 FROM recommendation_metrics_daily WHERE date <= :today),
    (SELECT min(created_at AT TIME ZONE 'UTC')::date FROM recommendation_requests WHERE isfinite(created_at))
)
""")
"""The day before the last aggregated one, because requests may be stored late; else the day of the first request."""


async def aggregate_days(engine: AsyncEngine) -> int:
    """Aggregate every day since the last aggregated one, including today; return the number of days."""
    async with engine.connect() as connection:
        today: date = await connection.scalar(TODAY)
        first: date | None = await connection.scalar(FIRST_DAY, {"today": today})
    if first is None:
        return 0
    days = [first + timedelta(days=number) for number in range((today - first).days + 1)]

    async def aggregate(chunk: Sequence[date]) -> Sequence[date]:
        async with engine.begin() as connection:
            for day in chunk:
                await connection.execute(UPSERT, {"day": day, "limit": TOP, **bounds(day, day)})
        return chunk

    for day in days:
        await change_rows("recommendation_metrics_daily", [day], aggregate)
    return len(days)
