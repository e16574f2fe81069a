"""Takes in events and request logs: into the stream in Redis, or while that is down straight into Postgres."""

from collections.abc import Sequence

import structlog
from prometheus_client import Counter

from app.database import Database
from app.errors import ApiError, overloaded
from app.guarded_redis import GuardedRedis
from app.tracking.direct import DirectStore
from app.tracking.entries import RequestLog, request_entry
from indexer.tracking.stream import EVENT, RECOMMENDATION, Entry
from schemas.keys import TRACKING

log = structlog.get_logger()

DIRECT = Counter("smarttrip_tracking_direct_total", "Entries stored past Redis, which did not take them", ["kind"])
REFUSED = Counter("smarttrip_tracking_refused_total", "Entries refused because too many wait already", ["kind"])
LOST = Counter("smarttrip_tracking_lost_total", "Request logs that could be kept nowhere")

# The length is looked at in the same step, so that no crowd of requests gets past the bound together.
APPEND = """
if redis.call('XLEN', KEYS[1]) + #ARGV - 2 > tonumber(ARGV[1]) then
  return 0
end
for i = 3, #ARGV do
  redis.call('XADD', KEYS[1], '*', ARGV[2], ARGV[i])
end
return 1
"""

LOG_RESERVE = 1.25
"""Request logs may fill the stream further than events: a flood of these leaves room for them."""


class Intake:
    def __init__(self, redis: GuardedRedis, database: Database, limit: int) -> None:
        """`limit` is the most entries that may wait in the stream."""
        self._ask = redis.ask
        self._append = redis.client.register_script(APPEND)
        self._direct = DirectStore(database)
        self._limit = limit

    async def take_events(self, bodies: Sequence[bytes]) -> None:
        """In this order, all or none. Once this returns they are safe from what may happen to the process.

        Raises 503 as ApiError.
        """
        await self._take(EVENT, bodies, self._limit)

    async def log_recommendations(self, requests: Sequence[RequestLog]) -> None:
        """Nobody waits for a log, so that its loss is only counted."""
        try:
            await self._take(RECOMMENDATION, [*map(request_entry, requests)], int(self._limit * LOG_RESERVE))
        except ApiError as error:
            LOST.inc(len(requests))
            log.warning("request_logs_lost", reason=error.code, count=len(requests))

    async def _take(self, kind: str, bodies: Sequence[bytes], limit: int) -> None:
        try:
            taken = await self._ask(lambda: self._append(keys=[TRACKING], args=[limit, kind, *bodies]))
        except ApiError:
            # Whether or not Redis took them after all: by their ids they are stored once.
            await self._direct.store([Entry(kind, body) for body in bodies])
            DIRECT.labels(kind).inc(len(bodies))
            return
        if not taken:
            REFUSED.labels(kind).inc(len(bodies))
            raise overloaded(retry_after=5)
