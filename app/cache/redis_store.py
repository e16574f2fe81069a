"""Second cache level, in Redis, shared by all processes. During an outage of Redis it behaves as if it were empty."""

import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prometheus_client import Counter

from app.backends.redis import ResilientRedis
from app.cache.entry import StoredEntry
from core.errors import BackendError

REDIS_ERRORS = Counter(
    "smarttrip_cache_redis_errors", "Accesses without Redis: it failed, or its circuit breaker was open"
)

PREFIX = "smarttrip:cache:1:"
"""Prefix of all keys. The number is the version of the entry format."""

LOCK_SECONDS = 5
"""Lifetime of a lock: other processes wait at most this long for one that died while it loaded a body."""

Result = TypeVar("Result")


class RedisStore:
    def __init__(self, redis: ResilientRedis) -> None:
        self._call = redis.call
        self._redis = redis.client

    async def read(self, key: str) -> StoredEntry | None:
        packed = await self._call_or_default(lambda: self._redis.get(PREFIX + key), None)
        return _unpack(packed)

    async def lock_and_get(self, key: str, generation: int) -> tuple[bool, StoredEntry | None]:
        """Return whether the caller got the lock to load this body, and the present entry, in one atomic step."""
        without_redis: tuple[bool, bytes | None] = (True, None)
        locked, packed = await self._call_or_default(lambda: self._lock_and_get(key, generation), without_redis)
        return locked, _unpack(packed)

    async def write(self, key: str, entry: StoredEntry, *, retention_seconds: float) -> None:
        packed = entry.pack()
        await self._call_or_default(
            lambda: self._redis.set(PREFIX + key, packed, px=int(retention_seconds * 1000)), None
        )

    async def unlock(self, key: str, generation: int) -> None:
        """Release the lock. Call it after `write`, so that no process finds neither lock nor entry."""
        await self._call_or_default(lambda: self._redis.delete(_lock_key(key, generation)), None)

    async def _lock_and_get(self, key: str, generation: int) -> tuple[bool, bytes | None]:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(_lock_key(key, generation), b"1", nx=True, ex=LOCK_SECONDS)
            pipeline.get(PREFIX + key)
            locked, packed = await pipeline.execute()
        return bool(locked), packed

    async def _call_or_default(self, command: Callable[[], Awaitable[Result]], default: Result) -> Result:
        try:
            return await self._call(command)
        except BackendError:
            REDIS_ERRORS.inc()
            return default


def _lock_key(key: str, generation: int) -> str:
    """Return the lock's key. It has the generation: a load that began before a change must not block one after it."""
    return f"{PREFIX}lock:{generation}:{key}"


def _unpack(packed: bytes | None) -> StoredEntry | None:
    try:
        return StoredEntry.unpack(packed) if packed else None
    except struct.error:
        # Not written by this application.
        return None
