"""Consumer of the tracking stream."""

import asyncio
from collections.abc import Sequence
from typing import NoReturn

import structlog
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.concurrency.retries import retry_forever
from core.errors import BACKEND_ERRORS
from core.metrics.labels import error_label, error_labels, with_values
from core.tracing import spans
from core.tracing.spans import Span
from schemas.redis_keys import TRACKING_STREAM
from tracking import stream
from tracking.stream import StreamEntry
from tracking.writers.batches import store

log = structlog.get_logger()

STORED = Counter("smarttrip_tracking_stored_total", "Entries taken from the stream of tracking events and request logs")
FAILURES = with_values(
    Counter("smarttrip_tracking_failures_total", "Batches that could not be stored yet, by error", ["error"]),
    error_labels(BACKEND_ERRORS),
)
STREAM_LENGTH = Gauge("smarttrip_tracking_stream_entries", "Entries in the stream when it was last read")

BATCH_SIZE = 500
IDLE_SECONDS = 2.0
"""Seconds for which a read waits for an entry; the Redis client's timeout has to be longer."""

PAUSE_SECONDS = 0.5
"""In which entries gather; nothing waits for them."""

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0


async def consume_stream(redis: Redis, engine: AsyncEngine) -> NoReturn:
    """Store batches until cancelled. A batch that cannot be stored stays in the stream and is retried.

    A batch that was not full is followed by a pause: entries that come one by one would cost a transaction each.
    """
    retrying = retry_forever(
        BACKEND_ERRORS, first=FIRST_RETRY_SECONDS, longest=LAST_RETRY_SECONDS, on_failure=_report_failure
    )
    while True:
        if await retrying(store_next_batch, redis, engine) < BATCH_SIZE:
            await asyncio.sleep(PAUSE_SECONDS)


def _span(entries: Sequence[StreamEntry]) -> Span:
    """Return the span of storing a batch, in the trace of its first recorded entry and linked to those of others."""
    traces = [entry.trace for entry in entries if entry.trace]
    attributes = {**stream.SPAN_ATTRIBUTES, "messaging.operation.type": "process"}
    attributes["messaging.batch.message_count"] = len(entries)
    return spans.follow(f"process {TRACKING_STREAM}", traces, attributes, "consumer")


def _report_failure(error: BaseException, retry_after: float) -> None:
    FAILURES.labels(error_label(error, BACKEND_ERRORS)).inc()
    log.warning("tracking_failed", error=type(error).__name__, retry_after=retry_after)


async def store_next_batch(redis: Redis, engine: AsyncEngine, *, wait_seconds: float = IDLE_SECONDS) -> int:
    """Store the oldest entries, then remove them from the stream; return their number."""
    entries = await stream.read(redis, BATCH_SIZE, wait_seconds)
    # Before storing as well: the alarm is needed when entries cannot be stored.
    STREAM_LENGTH.set(await stream.length(redis))
    if entries:
        with _span(list(entries.values())):
            await store(engine, list(entries.values()))
            await stream.remove(redis, entries)
        STORED.inc(len(entries))
        STREAM_LENGTH.set(await stream.length(redis))
    return len(entries)
