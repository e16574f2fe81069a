"""The stream in Redis on which the API leaves what is to be stored.

It is read from its beginning and what has been stored is removed. So there is no reader to keep book of: a worker that
takes over sees the same entries in the same order, and one that reads them a second time stores nothing twice.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

from redis.asyncio import Redis

from schemas.redis_keys import TRACKING_STREAM

EVENT = "event"
RECOMMENDATION = "recommendation"


class StreamEntry(NamedTuple):
    kind: str
    body: bytes
    """JSON."""


async def read(redis: Redis, count: int, wait_seconds: float) -> dict[bytes, StreamEntry]:
    """The oldest entries by their ids; waits for the first one, but not longer than that."""
    answer = await redis.xread({TRACKING_STREAM: "0"}, count=count, block=int(wait_seconds * 1000))
    return {entry_id: _entry(fields) for _, entries in answer for entry_id, fields in entries}


async def scan(redis: Redis, page: int = 1000) -> AsyncIterator[tuple[bytes, StreamEntry]]:
    """All entries, the oldest first, with their ids; also those that arrive meanwhile."""
    after = b"-"
    while entries := await redis.xrange(TRACKING_STREAM, min=after, count=page):
        for entry_id, fields in entries:
            yield entry_id, _entry(fields)
        after = b"(" + entries[-1][0]


def _entry(fields: Mapping[bytes, bytes]) -> StreamEntry:
    kind, body = next(iter(fields.items()))
    return StreamEntry(kind.decode(errors="replace"), body)


async def remove(redis: Redis, ids: Iterable[bytes]) -> None:
    await redis.xdel(TRACKING_STREAM, *ids)


async def length(redis: Redis) -> int:
    return int(await redis.xlen(TRACKING_STREAM))
