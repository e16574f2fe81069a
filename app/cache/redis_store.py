"""The level that all processes and instances share. Without Redis it is empty, and that is counted."""

import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prometheus_client import Counter

from app.backends.redis import ResilientRedis
from app.cache.entry import StoredEntry
from core.errors import BackendError

REDIS_ERRORS = Counter(
    "smarttrip_cache_redis_errors", "Times that the cache did without Redis, which failed or was spared"
)

PREFIX = "smarttrip:cache:1:"
"""The number belongs to the records' format."""

LOCK_SECONDS = 5
"""How long others wait at most for a process that died while it was making a body."""

Answer = TypeVar("Answer")


class RedisStore:
    def __init__(self, redis: ResilientRedis) -> None:
        self._call = redis.call
        self._redis = redis.client

    async def read(self, key: str) -> StoredEntry | None:
        packed = await self._try(lambda: self._redis.get(PREFIX + key), None)
        return _record(packed)

    async def claim(self, key: str, generation: int) -> tuple[bool, StoredEntry | None]:
        """Whether the caller is the one to make this body, and what lies there by now, in one step."""
        alone: tuple[bool, bytes | None] = (True, None)
        claimed, packed = await self._try(lambda: self._claim(key, generation), alone)
        return claimed, _record(packed)

    async def write(self, key: str, record: StoredEntry, *, keep_seconds: float) -> None:
        packed = record.pack()
        await self._try(lambda: self._redis.set(PREFIX + key, packed, px=int(keep_seconds * 1000)), None)

    async def release(self, key: str, generation: int) -> None:
        """After `write`, so that nobody finds neither claim nor body."""
        await self._try(lambda: self._redis.delete(_lock(key, generation)), None)

    async def _claim(self, key: str, generation: int) -> tuple[bool, bytes | None]:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(_lock(key, generation), b"1", nx=True, ex=LOCK_SECONDS)
            pipeline.get(PREFIX + key)
            claimed, packed = await pipeline.execute()
        return bool(claimed), packed

    async def _try(self, call: Callable[[], Awaitable[Answer]], otherwise: Answer) -> Answer:
        try:
            return await self._call(call)
        except BackendError:
            REDIS_ERRORS.inc()
            return otherwise


def _lock(key: str, generation: int) -> str:
    """With the generation: what was begun before a change must not hold up what is made after it."""
    return f"{PREFIX}lock:{generation}:{key}"


def _record(packed: bytes | None) -> StoredEntry | None:
    try:
        return StoredEntry.unpack(packed) if packed else None
    except struct.error:
        # Not of our making.
        return None
