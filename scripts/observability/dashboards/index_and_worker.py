"""Index and worker: lag, outbox, batches, reindex, drift, jobs."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from scripts.observability.dashboards.panels import Row, chart, page, percentiles

LAG = "smarttrip_index_lag_seconds"


def index_and_worker() -> Dashboard:
    return page("smarttrip-index", "SmartTrip: index and worker", [_lag(), _outbox(), _index(), _jobs()])


def _lag() -> Row:
    return (
        "From Postgres to the index",
        [
            chart("Time until a change is searchable", "s", percentiles(LAG)),
            chart(
                "95th percentile by lane",
                "s",
                {"{{lane}}": f"histogram_quantile(0.95, sum by (lane, le) (rate({LAG}_bucket[5m])))"},
            ),
            chart(
                "Seconds without progress",
                "s",
                {"{{lane}}": "time() - max by (lane) (smarttrip_feed_progress_timestamp_seconds)"},
            ),
        ],
    )


def _outbox() -> Row:
    return (
        "Outbox",
        [
            chart("Rows that wait", "short", {"rows": "max(smarttrip_outbox_rows)"}),
            chart("Oldest row, most attempts", "none", OLDEST),
            chart(
                "Rows handled, by outcome",
                "ops",
                {"{{outcome}}": "sum by (outcome) (rate(smarttrip_outbox_rows_handled_total[5m]))"},
            ),
            chart("Time of a batch", "s", percentiles("smarttrip_batch_seconds")),
            chart("Rows in a batch", "short", percentiles("smarttrip_batch_rows")),
            chart("Failures", "ops", FAILURES),
        ],
    )


def _index() -> Row:
    return (
        "Index",
        [
            chart("Documents of the last reindex", "short", REINDEX),
            chart("Time until it has loaded all", "s", {"left": REINDEX_LEFT}),
            chart("Rebuilds in an hour, by reason", "short", {"{{reason}}": REBUILDS}),
            chart("Drift and dead letters", "short", DRIFT),
            chart("Index in use", "none", {"{{name}}": "smarttrip_index_info"}),
            chart("Its age", "s", {"age": INDEX_AGE}),
            chart("Fullest disk", "percentunit", {"used": "max(smarttrip_elasticsearch_disk_used_ratio)"}),
        ],
    )


def _jobs() -> Row:
    return (
        "Jobs",
        [
            chart("Seconds since the last success", "s", {"{{name}}": SINCE}),
            chart(
                "Failures in an hour",
                "short",
                {"{{name}}": "sum by (name) (increase(smarttrip_job_failures_total[1h]))"},
            ),
            chart("Mean duration in an hour", "s", {"{{name}}": DURATION}),
            chart("Requested jobs that wait", "short", {"jobs": "max(smarttrip_job_queue_entries)"}),
        ],
    )


OLDEST = {"seconds": "max(smarttrip_outbox_oldest_seconds)", "attempts": "max(smarttrip_outbox_attempts)"}
FAILURES = {
    "batches": "sum(rate(smarttrip_feed_errors_total[5m]))",
    "rejected by the index": "sum(rate(smarttrip_index_rejections_total[5m]))",
    "invalidations": "sum(rate(smarttrip_changes_untold_total[5m]))",
}
REINDEX = {
    "done": "max(smarttrip_reindex_documents_done)",
    "expected": "max(smarttrip_reindex_documents_expected)",
    "a second": "max(smarttrip_reindex_documents_per_second)",
}
REINDEX_LEFT = "clamp_min(max(smarttrip_reindex_end_timestamp_seconds) - time(), 0)"
CREATED = "max(smarttrip_index_created_timestamp_seconds)"
INDEX_AGE = f"(time() - {CREATED}) * ({CREATED} > bool 0)"
REBUILDS = "sum by (reason) (increase(smarttrip_index_rebuilds_total[1h]))"
DRIFT = {
    "drift": "max(smarttrip_index_drifted_departures)",
    "found in a day": "sum(increase(smarttrip_index_drift_total[1d]))",
    "dead letters": "max(smarttrip_outbox_dead_rows)",
}
SUCCESS = "max by (name) (smarttrip_job_last_success_timestamp_seconds)"
SINCE = f"(time() - {SUCCESS}) * ({SUCCESS} > bool 0)"
DURATION = (
    "sum by (name) (increase(smarttrip_job_seconds_sum[1h]))"
    " / sum by (name) (increase(smarttrip_job_seconds_count[1h]))"
)
