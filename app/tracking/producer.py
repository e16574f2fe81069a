"""Producer of the tracking stream: events and request logs go to Redis, or during its outages directly to Postgres."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import structlog
from prometheus_client import Counter

from app.backends.batching import Batcher
from app.backends.database import Database, map_database_errors
from app.backends.redis import ResilientRedis
from app.tracking.records import RequestLog, encode_request_log
from core.clients import redis_key
from core.errors import BackendError, OverloadedError
from core.metrics.labels import with_values
from core.tracing import spans
from schemas.redis_keys import TRACKING_STREAM
from tracking.stream import EVENT, RECOMMENDATION, SESSION, SPAN_ATTRIBUTES, StreamEntry
from tracking.writers.batches import WRITERS, store

log = structlog.get_logger()

DIRECT = with_values(
    Counter("smarttrip_tracking_direct_total", "Entries written to Postgres because Redis failed", ["kind"]), WRITERS
)
REJECTED = with_values(
    Counter("smarttrip_tracking_refused_total", "Entries rejected because too many are pending", ["kind"]), WRITERS
)
LOST = Counter("smarttrip_tracking_lost_total", "Request logs that could be stored nowhere")


class Batch(NamedTuple):
    """One caller's entries; they are appended all or none."""

    bodies: Sequence[bytes]
    """JSON."""
    trace: str = ""
    """Trace of the request; empty if it is not recorded."""


# The length is checked in the same atomic step, so that concurrent requests cannot exceed the limit together.
APPEND = """
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
local bytes = redis.pcall('MEMORY', 'USAGE', KEYS[1])
if type(bytes) == 'number' and bytes > tonumber(ARGV[2]) then
  return 0
end
local appended, at = 0, 4
while ARGV[at] do
  local trace = ARGV[at + 1]
  local first, last = at + 2, at + 1 + tonumber(ARGV[at])
  room = room - (last - first + 1)
  if room < 0 then
    break
  end
  for i = first, last do
    if trace == '' then
      redis.call('XADD', KEYS[1], '*', ARGV[3], ARGV[i])
    else
      redis.call('XADD', KEYS[1], '*', ARGV[3], ARGV[i], 'traceparent', trace)
    end
  end
  appended, at = appended + 1, last + 1
end
return appended
"""
"""Append batches, each preceded by its length and its trace, until one does not fit; return the number of those.

KEYS[1]: the stream. ARGV: its maximum length, the bytes beyond which nothing is appended, the kind of the entries, then
the batches. The bytes are estimated by Redis from a few samples, in constant time.
"""

SEND_SPAN = f"send {TRACKING_STREAM}"
SEND_ATTRIBUTES = {**SPAN_ATTRIBUTES, "messaging.operation.type": "send"}

DIRECT_SECONDS = 3.0
"""Timeout in seconds of a transaction on the direct path."""

MAX_PENDING = 10_000
"""Event bodies that may wait for a round trip. The next one takes them all, and must not block Redis for long."""

LOG_RESERVE = 1.25
"""Factor by which request logs may exceed the stream's limit: a flood of events leaves room for them."""


class TrackingProducer:
    def __init__(self, redis: ResilientRedis, database: Database, limit: int, limit_bytes: int) -> None:
        """`limit` is the maximum length of the stream, `limit_bytes` its memory in Redis."""
        self._redis = redis
        self._stream = redis_key(redis.client, TRACKING_STREAM)
        self._append_script = redis.client.register_script(APPEND)
        self._database = database
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._events = Batcher(partial(self._append, EVENT, 1.0))
        self._pending = 0
        """Event bodies whose round trip is not complete."""

    async def publish_events(self, bodies: Sequence[bytes]) -> None:
        """Append events in this order, all or none. On return they are in the stream: this process may be killed.

        Raises: OverloadedError or BackendUnavailableError.
        """
        if self._pending + len(bodies) > MAX_PENDING:
            raise OverloadedError()
        self._pending += len(bodies)
        try:
            with spans.span(SEND_SPAN, SEND_ATTRIBUTES, "producer") as span:
                appended = await self._events.submit(Batch(bodies, span.trace))
        finally:
            self._pending -= len(bodies)
        if not appended:
            raise OverloadedError(retry_after=5)

    async def publish_session(self, body: bytes) -> None:
        """Append a session that could not be stored, as `encode_session` made it.

        Raises: OverloadedError or BackendUnavailableError.
        """
        (appended,) = await self._append(SESSION, LOG_RESERVE, [Batch([body], spans.current_trace())])
        if not appended:
            raise OverloadedError(retry_after=5)

    async def publish_request_logs(self, logs: Sequence[RequestLog]) -> None:
        """Append request logs. A failure is only logged and counted: no client waits for them."""
        try:
            (appended,) = await self._append(RECOMMENDATION, LOG_RESERVE, [Batch([*map(encode_request_log, logs)])])
            if not appended:
                raise OverloadedError()
        except BackendError as error:
            LOST.inc(len(logs))
            log.warning("request_logs_lost", reason=error.code, count=len(logs))
        except Exception:
            # A bug must lose these logs only, not end the task that sends all later ones.
            LOST.inc(len(logs))
            log.exception("request_logs_lost", count=len(logs))

    async def _append(self, kind: str, reserve: float, batches: Sequence[Batch]) -> list[bool]:
        """Return for each batch whether it was appended or stored; `reserve` multiplies the limits."""
        args: list[int | str | bytes] = [int(self._limit * reserve), int(self._limit_bytes * reserve), kind]
        for batch in batches:
            args += (len(batch.bodies), batch.trace, *batch.bodies)
        try:
            appended = int(await self._redis.run_script(self._append_script, [self._stream], *args))
        except BackendError:
            # Redis may have taken them nevertheless: entries have ids, so that each is stored once.
            entries = [StreamEntry(kind, body, age=0.0) for batch in batches for body in batch.bodies]
            await self._store_directly(entries)
            DIRECT.labels(kind).inc(len(entries))
            return [True] * len(batches)
        REJECTED.labels(kind).inc(sum(len(batch.bodies) for batch in batches[appended:]))
        return [number < appended for number in range(len(batches))]

    async def _store_directly(self, entries: Sequence[StreamEntry]) -> None:
        with self._database.breaker, map_database_errors():
            async with asyncio.timeout(DIRECT_SECONDS):
                await store(self._database.primary, entries)
