"""The tracking stream in Redis, from the API to the worker.

It is read from its beginning, and stored entries are removed. So no reader position is needed: a worker that takes over
reads the same entries in the same order, and storing an entry again has no effect.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

from redis.asyncio import Redis

from core.clients import redis_key
from schemas.redis_keys import TRACKING_STREAM

SPAN_ATTRIBUTES: Mapping[str, str | int] = {
    "messaging.system": "redis",
    "messaging.destination.name": TRACKING_STREAM,
}
"""What the spans of appending and of storing say of the stream."""

EVENT = "event"
RECOMMENDATION = "recommendation"
SESSION = "session"


TRACE_FIELD = b"traceparent"
"""Second field of an entry whose request is recorded. A reader that does not know it takes the first field only."""


class StreamEntry(NamedTuple):
    kind: str
    body: bytes
    """JSON."""
    trace: str = ""
    """Trace of the request that appended it; empty if it is not recorded."""
    age: float | None = None
    """Seconds since it was appended, by the clock of Redis; None if that is not known."""


async def read(redis: Redis, count: int, wait_seconds: float) -> dict[bytes, StreamEntry]:
    """Return the oldest entries by id. Wait up to `wait_seconds` while the stream is empty."""
    response = await redis.xread({redis_key(redis, TRACKING_STREAM): "0"}, count=count, block=int(wait_seconds * 1000))
    if not response:
        return {}
    now = await server_time(redis)
    return {
        entry_id: _entry(fields)._replace(age=now - added_at(entry_id))
        for _, entries in response
        for entry_id, fields in entries
    }


async def server_time(redis: Redis) -> float:
    """Return the time of Redis in seconds."""
    seconds, microseconds = await redis.time()
    return float(seconds + microseconds / 1e6)


def added_at(entry_id: bytes) -> float:
    """Return when an entry was appended, in seconds: its id begins with the time of Redis in milliseconds."""
    return int(entry_id.partition(b"-")[0]) / 1000


async def scan(redis: Redis, page: int = 1000) -> AsyncIterator[tuple[bytes, StreamEntry]]:
    """Yield all entries with their ids, the oldest first, including those appended meanwhile."""
    after = b"-"
    while entries := await redis.xrange(redis_key(redis, TRACKING_STREAM), min=after, count=page):
        for entry_id, fields in entries:
            yield entry_id, _entry(fields)
        after = b"(" + entries[-1][0]


def _entry(fields: Mapping[bytes, bytes]) -> StreamEntry:
    kind, body = next(iter(fields.items()))
    return StreamEntry(kind.decode(errors="replace"), body, fields.get(TRACE_FIELD, b"").decode("latin-1"))


async def remove(redis: Redis, ids: Iterable[bytes]) -> None:
    await redis.xdel(redis_key(redis, TRACKING_STREAM), *ids)


async def length(redis: Redis) -> int:
    return int(await redis.xlen(redis_key(redis, TRACKING_STREAM)))
