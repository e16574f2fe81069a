"""Daily metrics of recommendation requests. Days are UTC days, as in the platform's own rows."""

from datetime import UTC, date, datetime, time

LOW_SCORE = 50
"""Requests whose best score is below this count into `low_score_rate`."""


def _percentile(percent: int) -> str:
    return f"round(percentile_cont({percent / 100}) WITHIN GROUP (ORDER BY response_time_ms))::integer"


def _rate(condition: str) -> str:
    return f"round(avg((coalesce({condition}, false))::integer), 4)"


def _average(column: str) -> str:
    """Return the average, without values that are no number: one would make it none."""
    return f"round(avg({column}) FILTER (WHERE {column} BETWEEN -1000000000 AND 1000000000), 2)"


def _searches(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"


METRIC_COLUMNS = {
    "total_requests": "count(*)",
    "unique_sessions": "count(DISTINCT session_id)",
    "avg_response_time_ms": _average("response_time_ms"),
    "p50_response_time_ms": _percentile(50),
    "p95_response_time_ms": _percentile(95),
    "p99_response_time_ms": _percentile(99),
    "max_response_time_ms": "max(response_time_ms)",
    "avg_top_score": _average("top_score"),
    "avg_result_count": _average("final_count"),
    "relaxed_trigger_rate": _rate("has_relaxed_results"),
    "no_results_rate": _rate("has_no_results"),
    "low_score_rate": _rate(f"top_score < {LOW_SCORE}"),
    "searches_with_country": _searches("cardinality(selected_countries) > 0"),
    "searches_with_continent": _searches("cardinality(selected_continents) > 0"),
    "searches_with_type": _searches("preferred_type_id IS NOT NULL"),
    "searches_with_themes": _searches("cardinality(preferred_theme_ids) > 0"),
    "searches_with_budget": _searches("budget IS NOT NULL"),
    "searches_with_dates": _searches(
        "nullif(year, 'all') IS NOT NULL OR month IS NOT NULL OR preferences ->> 'start_date' IS NOT NULL"
    ),
}
"""Columns of recommendation_metrics_daily, with their aggregates over rows of recommendation_requests."""

SELECTED = ", ".join(f"{aggregate} AS {name}" for name, aggregate in METRIC_COLUMNS.items())

PERIOD = "created_at BETWEEN CAST(:since AS timestamptz) AND CAST(:until AS timestamptz)"


def top_query(values: str, period: str = PERIOD) -> str:
    """Return the query for the most frequent values: columns value and n, at most :limit rows."""
    return f"""
        SELECT value, count(*) AS n
        FROM recommendation_requests CROSS JOIN LATERAL unnest({values}) AS requested (value)
        WHERE {period} AND value IS NOT NULL
        GROUP BY value ORDER BY n DESC, value LIMIT :limit
    """  # noqa: S608  # of constants


TOP_LISTS = {
    "top_continents": ("name", "selected_continents"),
    "top_countries": ("id", "selected_countries"),
    "top_types": ("id", "ARRAY[preferred_type_id]"),
    "top_themes": ("id", "preferred_theme_ids"),
}
"""For each list, the key of its entries, and the expression of the values that are counted."""


def bounds(first: date, last: date) -> dict[str, datetime]:
    """Return the parameters of PERIOD for these days, both inclusive."""
    return {"since": datetime.combine(first, time.min, UTC), "until": datetime.combine(last, time.max, UTC)}
