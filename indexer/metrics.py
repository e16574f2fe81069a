"""Prometheus metrics of the worker. The API must not import this module: it would export them as zeros."""

from prometheus_client import Counter, Gauge, Histogram, Summary

from core.metrics.labels import with_values

LAG = Histogram(
    "smarttrip_index_lag_seconds",
    "From a change in Postgres until searches see it; lane fanned: departures that depend on a changed row",
    ["lane"],
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 1800),
)
DEPTH = Gauge("smarttrip_outbox_rows", "Changes in the outbox")
OLDEST = Gauge("smarttrip_outbox_oldest_seconds", "Age of the oldest change in the outbox")
ATTEMPTS = Gauge("smarttrip_outbox_attempts", "Most attempts made on a change in the outbox")
DEAD = Gauge("smarttrip_outbox_dead_rows", "Dead letters: departures that are invalid or that the index rejected")
BATCH_ROWS = Histogram(
    "smarttrip_batch_rows", "Outbox rows per batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
BATCH_SECONDS = Histogram("smarttrip_batch_seconds", "Duration of a batch")
ROWS = with_values(
    Counter("smarttrip_outbox_rows_handled_total", "Outbox rows handled, by outcome", ["outcome"]),
    ("done", "kept", "refused"),
)
ERRORS = Counter("smarttrip_feed_errors_total", "Batches that failed as a whole, by error", ["error"])
WAITS = Counter(
    "smarttrip_outbox_waits_total", "Batches of which changes have to wait for the index, by reason", ["reason"]
)
INDEX_REJECTIONS = Counter(
    "smarttrip_index_rejections_total",
    "Batches put off because an index rejects every document, through a fault of its own",
)
REFUSALS = Counter(
    "smarttrip_index_refusals_total",
    "Documents that an index refused, for now or for good, by its state and the reason",
    ["index", "reason"],
)
PROGRESS = Gauge(
    "smarttrip_feed_progress_timestamp_seconds", "Time at which a consumer last made progress or was idle", ["lane"]
)
PUBLISH_FAILURES = Counter("smarttrip_changes_untold_total", "Changes that could not be published to caches")
GENERATION = Gauge("smarttrip_index_generation", "Number of the latest change published to caches")
ROLLOUTS_ABORTED = Counter("smarttrip_rollouts_aborted_total", "Rollouts that a worker rolled back")
DRIFT = Gauge("smarttrip_index_drifted_departures", "Departures that differed from Postgres at the last verification")
DRIFTED = Counter("smarttrip_index_drift_total", "Departures found to differ from Postgres, in total")
REINDEXED = Counter("smarttrip_reindex_total", "Full reindexes that activated a new index")
REQUESTED = "requested"
"""Reason of the rebuilds that a person requested; the other reasons are the names of `IndexProblem`."""
REBUILDS = Counter("smarttrip_index_rebuilds_total", "Reindexes that the worker began, by reason", ["reason"])
DIFFERENCES = Gauge(
    "smarttrip_preflight_differences",
    "Differences between a server and what the release needs, by part: database, postgres, redis, index",
    ["part"],
)
INDEX = Gauge("smarttrip_index_info", "1: the index in use, by name, which is empty if there is none", ["name"])
INDEX_CREATED = Gauge(
    "smarttrip_index_created_timestamp_seconds", "When the index in use was created; 0 if there is none"
)
DISK = Gauge("smarttrip_elasticsearch_disk_used_ratio", "Part of the fullest disk of Elasticsearch that is taken")
CERTIFICATE_END = Gauge(
    "smarttrip_certificate_expires_timestamp_seconds",
    "When the certificate of a server ends; 0 without TLS",
    ["server"],
)
REDIS_MEMORY = Gauge("smarttrip_redis_memory_used_ratio", "Part of Redis' maxmemory that is taken; 0 without a limit")
JOB_QUEUE = Gauge("smarttrip_job_queue_entries", "Requested jobs that wait for a worker")
STREAM_OLDEST = Gauge("smarttrip_tracking_stream_oldest_seconds", "Age of the oldest entry of the tracking stream")
REINDEX_DONE = Gauge("smarttrip_reindex_documents_done", "Documents of the running or last reindex")
REINDEX_TOTAL = Gauge("smarttrip_reindex_documents_expected", "Departures at the start of the running or last reindex")
REINDEX_RATE = Gauge("smarttrip_reindex_documents_per_second", "Rate of the running or last reindex")
REINDEX_END = Gauge(
    "smarttrip_reindex_end_timestamp_seconds",
    "When the running or last reindex has loaded all documents",
)
JOBS = Summary("smarttrip_job_seconds", "Duration of scheduled and requested jobs", ["name"])
JOB_FAILURES = Counter("smarttrip_job_failures_total", "Attempts at jobs that failed", ["name"])
JOB_LAST_SUCCESS = Gauge(
    "smarttrip_job_last_success_timestamp_seconds", "Start of the last run of a job that succeeded", ["name"]
)


def record_publication(generation: int | None) -> None:
    """Record that caches were notified under this generation number, or, with None, that they could not be."""
    if generation is None:
        PUBLISH_FAILURES.inc()
    else:
        GENERATION.set(generation)
