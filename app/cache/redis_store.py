"""Second cache level, in Redis, shared by all processes. During an outage of Redis it behaves as if it were empty."""

import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prometheus_client import Counter

from app.backends.redis import ResilientRedis
from app.cache.entry import StoredEntry
from core.clients import redis_key
from core.errors import BackendError

REDIS_ERRORS = Counter(
    "smarttrip_cache_redis_errors_total", "Accesses without Redis: it failed, or its circuit breaker was open"
)

PREFIX = "smarttrip:cache:3:"
"""Prefix of all keys. The number is the version of the entry format."""

LOCK_SECONDS = 5
"""Lifetime of a lock: other processes wait at most this long for one that died while it loaded a body."""

Result = TypeVar("Result")


class RedisStore:
    def __init__(self, redis: ResilientRedis) -> None:
        self._call = redis.call
        self._redis = redis.client
        self._prefix = redis_key(redis.client, PREFIX)

    async def read(self, key: str) -> StoredEntry | None:
        missing: tuple[bytes | None, int] = (None, 0)
        return _unpack(*await self._call_or_default(lambda: self._get(key), missing))

    async def lock_and_get(self, key: str, generation: int) -> tuple[bool, StoredEntry | None]:
        """Return whether the caller got the lock to load this body, and the present entry, in one atomic step."""
        without_redis: tuple[bool, bytes | None, int] = (True, None, 0)
        locked, packed, retained = await self._call_or_default(
            lambda: self._lock_and_get(key, generation), without_redis
        )
        return locked, _unpack(packed, retained)

    async def write(self, key: str, entry: StoredEntry) -> None:
        packed, retained = entry.pack(), round((entry.fresh_seconds + entry.stale_seconds) * 1000)
        await self._call_or_default(lambda: self._redis.set(self._prefix + key, packed, px=retained), None)

    async def unlock(self, key: str, generation: int) -> None:
        """Release the lock. Call it after `write`, so that no process finds neither lock nor entry."""
        await self._call_or_default(lambda: self._redis.delete(self._lock_key(key, generation)), None)

    async def _get(self, key: str) -> tuple[bytes | None, int]:
        """Return the packed entry, and the milliseconds for which Redis retains it."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            # In this order: of an entry that is replaced in between, the life is at worst too short.
            pipeline.pttl(self._prefix + key)
            pipeline.get(self._prefix + key)
            retained, packed = await pipeline.execute()
        return packed, retained

    async def _lock_and_get(self, key: str, generation: int) -> tuple[bool, bytes | None, int]:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(self._lock_key(key, generation), b"1", nx=True, ex=LOCK_SECONDS)
            pipeline.pttl(self._prefix + key)
            pipeline.get(self._prefix + key)
            locked, retained, packed = await pipeline.execute()
        return bool(locked), packed, retained

    async def _call_or_default(self, command: Callable[[], Awaitable[Result]], default: Result) -> Result:
        try:
            return await self._call(command)
        except BackendError:
            REDIS_ERRORS.inc()
            return default

    def _lock_key(self, key: str, generation: int) -> str:
        """Return the lock's key, with the generation: a load that began before a change must not block one after it."""
        return f"{self._prefix}lock:{generation}:{key}"


def _unpack(packed: bytes | None, retained_milliseconds: int) -> StoredEntry | None:
    try:
        return StoredEntry.unpack(packed, retained_milliseconds / 1000) if packed else None
    except struct.error:
        # Not written by this application.
        return None
