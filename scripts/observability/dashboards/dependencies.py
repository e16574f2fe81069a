"""Dependencies: Postgres, Redis and Elasticsearch as the processes see them."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.observability.dashboards.panels import Row, chart, page


def dependencies() -> Dashboard:
    return page(
        "smarttrip-dependencies",
        "SmartTrip: dependencies",
        [_processes(), *_servers()],
    )


def _processes() -> Row:
    return (
        "All",
        [
            chart(
                "Circuit breakers",
                "none",
                {"{{dependency}}": "max by (dependency) (smarttrip_breaker_state)"},
                BREAKER,
            ),
            chart("Processes that can be scraped", "short", {"{{job}}": "sum by (job) (up)"}),
            chart("Clocks and logs, in an hour", "short", MACHINES),
            chart("95th percentile of calls", "s", {"{{dependency}}": TIMES}),
            chart("Callers that wait for Postgres", "short", {"{{pool}}": WAITING}),
            chart("Differences from what is needed", "short", {"{{part}}": PREFLIGHT}, "See `smarttrip check`."),
        ],
    )


def _servers() -> list[Row]:
    return [
        (
            "Postgres",
            [
                chart("Replicas in use", "short", {"{{instance}}": "smarttrip_replicas_usable"}),
                chart(
                    "Batches that failed",
                    "ops",
                    {"{{error}}": "sum by (error) (rate(smarttrip_feed_errors_total[5m]))"},
                ),
                chart("Rows left out in an hour", "short", {"{{kind}}": LEFT_OUT}),
            ],
        ),
        (
            "Redis",
            [
                chart("Lookups that failed", "ops", {"failures": "sum(rate(smarttrip_cache_redis_errors_total[5m]))"}),
                chart(
                    "Requests without a rate limit",
                    "reqps",
                    {"requests": "sum(rate(smarttrip_rate_limit_failures_total[5m]))"},
                ),
                chart("Subscriptions lost", "ops", {"{{instance}}": "rate(smarttrip_changes_lost_total[5m])"}),
            ],
        ),
        (
            "Elasticsearch",
            [
                chart("Every document rejected", "ops", {"batches": "sum(rate(smarttrip_index_rejections_total[5m]))"}),
                chart("Oldest change", "s", {"seconds": "max(smarttrip_outbox_oldest_seconds)"}),
            ],
        ),
        (
            "Users' tokens",
            [chart("Rejected", "ops", {"{{reason}}": "sum by (reason) (rate(smarttrip_token_failures_total[5m]))"})],
        ),
    ]


WAITING = "sum by (pool) (smarttrip_postgres_pool_waiting)"
TIMES = "histogram_quantile(0.95, sum by (dependency, le) (rate(smarttrip_dependency_seconds_bucket[5m])))"
PREFLIGHT = "max by (part) (smarttrip_preflight_differences)"
BREAKER = "0 closed, 1 half-open, 2 open"
LEFT_OUT = "sum by (kind) (increase(smarttrip_rows_left_out_total[1h]))"
MACHINES = {
    "clock jumps": "sum(increase(smarttrip_clock_jumps_total[1h]))",
    "log lines dropped": "sum(increase(smarttrip_log_lines_dropped_total[1h]))",
}
