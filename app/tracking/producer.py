"""Takes in events and request logs: into the stream in Redis, or while that is down straight into Postgres."""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog
from prometheus_client import Counter

from app.backends.batching import Batcher
from app.backends.database import Database, map_database_errors
from app.backends.redis import ResilientRedis
from app.tracking.records import RequestLog, encode_request_log
from core.errors import BackendError, OverloadedError
from schemas.redis_keys import TRACKING_STREAM
from tracking.batch_writer import store
from tracking.stream import EVENT, RECOMMENDATION, StreamEntry

log = structlog.get_logger()

DIRECT = Counter("smarttrip_tracking_direct_total", "Entries stored past Redis, which did not take them", ["kind"])
REFUSED = Counter("smarttrip_tracking_refused_total", "Entries refused because too many wait already", ["kind"])
LOST = Counter("smarttrip_tracking_lost_total", "Request logs that could be kept nowhere")

Batch = Sequence[bytes]
"""What one caller brings, kept whole or not at all."""

# The length is looked at in the same step, so that no crowd of requests gets past the bound together.
APPEND = """
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
local kept, at = 0, 3
while ARGV[at] do
  local last = at + tonumber(ARGV[at])
  room = room - (last - at)
  if room < 0 then
    break
  end
  for i = at + 1, last do
    redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[i])
  end
  kept, at = kept + 1, last + 1
end
return kept
"""
"""Appends batches, each with its length before it, until one finds no room; answers how many."""

DIRECT_SECONDS = 3.0
"""Longest time of a transaction."""

MAX_WAITING = 10_000
"""Bodies; the next round trip takes them all, and must not keep Redis busy for long."""

LOG_RESERVE = 1.25
"""Request logs may fill the stream further than events: a flood of these leaves room for them."""


class TrackingProducer:
    def __init__(self, redis: ResilientRedis, database: Database, limit: int) -> None:
        """`limit` is the most entries that may wait in the stream."""
        self._redis = redis
        self._append = redis.client.register_script(APPEND)
        self._database = database
        self._limit = limit
        self._events = Batcher(partial(self._keep, EVENT, limit))
        self._waiting = 0
        """Bodies of events whose round trip is not over."""

    async def take_events(self, bodies: Batch) -> None:
        """In this order, all or none. Once this returns they are safe from what may happen to the process.

        Raises OverloadedError or BackendUnavailableError.
        """
        if self._waiting + len(bodies) > MAX_WAITING:
            raise OverloadedError()
        self._waiting += len(bodies)
        try:
            kept = await self._events.submit(bodies)
        finally:
            self._waiting -= len(bodies)
        if not kept:
            raise OverloadedError(retry_after=5)

    async def log_recommendations(self, requests: Sequence[RequestLog]) -> None:
        """Nobody waits for a log, so that its loss is only counted."""
        try:
            room = int(self._limit * LOG_RESERVE)
            (kept,) = await self._keep(RECOMMENDATION, room, [[*map(encode_request_log, requests)]])
            if not kept:
                raise OverloadedError()
        except BackendError as error:
            LOST.inc(len(requests))
            log.warning("request_logs_lost", reason=error.code, count=len(requests))
        except Exception:
            # A bug of ours must cost these logs only, not all that come after them.
            LOST.inc(len(requests))
            log.exception("request_logs_lost", count=len(requests))

    async def _keep(self, kind: str, limit: int, batches: Sequence[Batch]) -> list[bool]:
        """Answers for each batch whether it found room."""
        args: list[int | str | bytes] = [limit, kind]
        for batch in batches:
            args += (len(batch), *batch)
        try:
            kept = int(await self._redis.run_script(self._append, TRACKING_STREAM, *args))
        except BackendError:
            # Whether or not Redis took them after all: by their ids they are stored once.
            entries = [StreamEntry(kind, body) for batch in batches for body in batch]
            await self._store(entries)
            DIRECT.labels(kind).inc(len(entries))
            return [True] * len(batches)
        REFUSED.labels(kind).inc(sum(map(len, batches[kept:])))
        return [number < kept for number in range(len(batches))]

    async def _store(self, entries: Sequence[StreamEntry]) -> None:
        with self._database.breaker.protect(), map_database_errors():
            async with asyncio.timeout(DIRECT_SECONDS):
                await store(self._database.primary, entries)
