"""Dependencies: Postgres, Redis and Elasticsearch as the processes see them."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.observability.dashboards.panels import BREAKER_STATES, Row, chart, page, percentiles


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
                BREAKER_STATES,
            ),
            chart("Processes that can be scraped", "short", {"{{job}}": "sum by (job) (up)"}),
            chart("Clocks and logs, in an hour", "short", MACHINES),
            chart("95th percentile of calls", "s", {"{{dependency}}": TIMES}),
            chart("Seconds of calls in a second", "none", {"{{job}} {{dependency}} {{operation}}": BUSY}),
            chart("Differences from what is needed", "short", {"{{part}}": PREFLIGHT}, "See `smarttrip check`."),
            chart("Time until a certificate ends", "s", {"{{server}}": CERTIFICATES}, "0 without TLS."),
            chart("Versions", "short", {"{{job}} {{version}}, documents {{document_version}}": VERSIONS}),
        ],
    )


def _servers() -> list[Row]:
    return [
        (
            "Postgres",
            [
                chart("Callers that wait for a connection", "short", {"{{job}} {{pool}}": WAITING}),
                chart("Connections in use, of how many", "short", CONNECTIONS),
                chart("Time until a caller has a connection", "s", percentiles("smarttrip_postgres_pool_wait_seconds")),
                chart("Replicas in use", "short", {"{{instance}}": "smarttrip_replicas_usable"}),
                chart("Lag of replicas", "s", {"{{pool}}": REPLICA_LAG}, "0 where there is none."),
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
                chart("Memory in use", "percentunit", {"used": "max(smarttrip_redis_memory_used_ratio)"}),
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
                chart("Batches that wait for the index", "ops", {"{{reason}}": WAITS}),
                chart("Documents refused", "ops", {"{{index}} {{reason}}": REFUSALS}),
            ],
        ),
        (
            "Users' tokens",
            [chart("Rejected", "ops", {"{{reason}}": "sum by (reason) (rate(smarttrip_token_failures_total[5m]))"})],
        ),
    ]


WAITING = "sum by (job, pool) (smarttrip_postgres_pool_waiting)"
CONNECTIONS = {
    "{{job}} {{pool}} in use": "sum by (job, pool) (smarttrip_postgres_pool_in_use)",
    "{{job}} {{pool}} at most": "sum by (job, pool) (smarttrip_postgres_pool_size)",
}
REPLICA_LAG = "max by (pool) (smarttrip_replica_lag_seconds) or vector(0)"
BUSY = "sum by (job, dependency, operation) (rate(smarttrip_dependency_seconds_sum[5m]))"
ENDS = "min by (server) (smarttrip_certificate_expires_timestamp_seconds)"
CERTIFICATES = f"({ENDS} - time()) * ({ENDS} > bool 0)"
VERSIONS = "count by (job, version, document_version) (smarttrip_build_info)"
WAITS = "sum by (reason) (rate(smarttrip_outbox_waits_total[5m]))"
REFUSALS = "sum by (index, reason) (rate(smarttrip_index_refusals_total[5m]))"
TIMES = "histogram_quantile(0.95, sum by (dependency, le) (rate(smarttrip_dependency_seconds_bucket[5m])))"
PREFLIGHT = "max by (part) (smarttrip_preflight_differences)"
LEFT_OUT = "sum by (kind) (increase(smarttrip_rows_left_out_total[1h]))"
MACHINES = {
    "clock jumps": "sum(increase(smarttrip_clock_jumps_total[1h]))",
    "log lines dropped": "sum(increase(smarttrip_log_lines_dropped_total[1h]))",
}
