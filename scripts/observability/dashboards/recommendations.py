"""Recommendations: latency, caches, and what stands in for Elasticsearch."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.observability.dashboards.panels import BREAKER_STATES, Row, chart, page, percentiles
from scripts.observability.objectives import RECOMMENDATIONS

LATENCY = "smarttrip_http_request_seconds"
ANSWERS = "rate(smarttrip_recommendations_total[5m])"
DEGRADED = 'rate(smarttrip_recommendations_total{source!="index"}[5m])'
SEARCHES = "rate(smarttrip_recommendation_searches_total[5m])"
REPEATED = "rate(smarttrip_repeated_searches_total[5m])"
EMPTY = 'rate(smarttrip_recommendation_searches_total{results="none"}[5m])'
LOOKUPS = "sum by (source) (rate(smarttrip_cache_lookups_total[5m]))"


def recommendations() -> Dashboard:
    return page(
        "smarttrip-recommendations",
        "SmartTrip: recommendations",
        [_requests(), _sources(), _caches(), _stages(), _freshness(), _rollouts()],
    )


def _requests() -> Row:
    return (
        "Requests",
        [
            chart(
                "Requests by status",
                "reqps",
                {"{{status}}": f"sum by (status) (rate({LATENCY}_count{RECOMMENDATIONS.selector}[5m]))"},
            ),
            chart("Latency", "s", percentiles(LATENCY, RECOMMENDATIONS.selector)),
            chart("Rejected by the rate limit", "reqps", {"{{group}}": LIMITED}),
        ],
    )


def _sources() -> Row:
    return (
        "Sources",
        [
            chart("By source", "ops", {"{{source}}": f"sum by (source) ({ANSWERS})"}),
            chart(
                "Share of fallbacks",
                "percentunit",
                {"degraded": f"sum({DEGRADED}) / sum({ANSWERS})"},
            ),
            chart("Share without results", "percentunit", {"none": f"sum({EMPTY}) / sum({SEARCHES})"}),
            chart("Share repeated", "percentunit", {"repeated": f"sum({REPEATED}) / sum({SEARCHES})"}),
        ],
    )


def _caches() -> Row:
    return (
        "Caches",
        [
            chart("Lookups by source", "ops", {"{{source}}": LOOKUPS}),
            chart(
                "Share by source",
                "percentunit",
                {"{{source}}": f"{LOOKUPS} / ignoring (source) group_left () sum({LOOKUPS})"},
            ),
            chart("Failures in Redis", "ops", {"failures": "sum(rate(smarttrip_cache_redis_errors_total[5m]))"}),
        ],
    )


def _stages() -> Row:
    return (
        "Stages of a search",
        [
            chart("Mean time of a stage", "s", {"{{stage}}": STAGES}),
            chart(
                "Mean time of a call",
                "s",
                {"{{dependency}} {{operation}}": CALLS},
                "Of all calls of the API, not of searches alone.",
            ),
        ],
    )


def _freshness() -> Row:
    return (
        "Freshness of caches",
        [
            chart("Subscriptions lost", "ops", {"{{instance}}": "rate(smarttrip_changes_lost_total[5m])"}),
            chart("Invalidations published", "ops", {"generation": "max(deriv(smarttrip_index_generation[5m]))"}),
            chart(
                "Circuit breakers",
                "none",
                {"{{dependency}}": "max by (dependency) (smarttrip_breaker_state)"},
                BREAKER_STATES,
            ),
        ],
    )


def _rollouts() -> Row:
    return (
        "Rollouts of weights",
        [
            chart("Requests", "reqps", {"{{variant}} {{outcome}}": VARIANTS}),
            chart("Searches by results", "ops", {"{{variant}} {{results}}": VARIANT_RESULTS}),
            chart("Mean time of a search", "s", {"{{variant}}": VARIANT_TIMES}),
            chart("Rolled back in a day", "short", {"rollouts": "sum(increase(smarttrip_rollouts_aborted_total[1d]))"}),
        ],
    )


LIMITED = "sum by (group) (rate(smarttrip_rate_limit_refusals_total[5m]))"
STAGES = (
    "sum by (stage) (rate(smarttrip_search_stage_seconds_sum[5m]))"
    " / sum by (stage) (rate(smarttrip_search_stage_seconds_count[5m]))"
)
CALLS = (
    'sum by (dependency, operation) (rate(smarttrip_dependency_seconds_sum{job="smarttrip-api"}[5m]))'
    ' / sum by (dependency, operation) (rate(smarttrip_dependency_seconds_count{job="smarttrip-api"}[5m]))'
)
VARIANTS = "sum by (variant, outcome) (rate(smarttrip_rollout_requests_total[5m]))"
VARIANT_RESULTS = "sum by (variant, results) (rate(smarttrip_rollout_searches_total[5m]))"
VARIANT_TIMES = (
    "sum by (variant) (rate(smarttrip_rollout_search_seconds_sum[5m]))"
    " / sum by (variant) (rate(smarttrip_rollout_search_seconds_count[5m]))"
)
