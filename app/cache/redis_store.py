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

READ_OR_LOCK = """
local packed = redis.call('GET', KEYS[1])
if packed then
  return {0, redis.call('PTTL', KEYS[1]), packed}
end
return {redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[1]) and 1 or 0, 0, false}
"""
"""Return the entry in KEYS[1] with the milliseconds for which it is retained; if there is none, take the lock KEYS[2]
for ARGV[1] seconds, and return whether it was free."""

WRITE = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
"""
"""Store the entry ARGV[1] in KEYS[1] for ARGV[2] milliseconds, and release the lock KEYS[2] in the same atomic step, so
that no process finds neither."""

LOCK_SECONDS = 5
"""Lifetime of a lock: other processes wait at most this long for one that died while it loaded a body."""

Result = TypeVar("Result")


class RedisStore:
    def __init__(self, redis: ResilientRedis) -> None:
        self._call = redis.call
        self._run_script = redis.run_script
        self._redis = redis.client
        self._prefix = redis_key(redis.client, PREFIX)
        self._read_or_lock_script = redis.client.register_script(READ_OR_LOCK)
        self._write_script = redis.client.register_script(WRITE)
        self._held: set[str] = set()
        """Keys of the locks that this process has."""

    async def read_or_lock(self, key: str, generation: int) -> tuple[bool, StoredEntry | None]:
        """Return the present entry; without one, whether the caller got the lock to load this body."""
        return await self._locked_and_entry(key, generation, self._read_or_lock)

    async def lock_and_get(self, key: str, generation: int) -> tuple[bool, StoredEntry | None]:
        """Return whether the caller got the lock to load this body, and the present entry, in one atomic step."""
        return await self._locked_and_entry(key, generation, self._lock_and_get)

    async def write(self, key: str, entry: StoredEntry) -> None:
        """Store the entry, and release its lock: it is of no use any more, whoever has it."""
        packed, retained = entry.pack(), round((entry.fresh_seconds + entry.stale_seconds) * 1000)
        await self._or_default(self._write(key, entry.generation, packed, retained), None)

    async def unlock(self, key: str, generation: int) -> None:
        """Release the lock, unless it was released with an entry."""
        lock = self._lock_key(key, generation)
        if lock in self._held:
            self._held.remove(lock)
            await self._or_default(self._call(lambda: self._redis.delete(lock)), None)

    async def _locked_and_entry(
        self, key: str, generation: int, command: Callable[[str, int], Awaitable[tuple[bool, bytes | None, int]]]
    ) -> tuple[bool, StoredEntry | None]:
        without_redis: tuple[bool, bytes | None, int] = (True, None, 0)
        locked, packed, retained = await self._or_default(command(key, generation), without_redis)
        if locked:
            self._held.add(self._lock_key(key, generation))
        return locked, _unpack(packed, retained)

    async def _write(self, key: str, generation: int, packed: bytes, retained: int) -> None:
        lock = self._lock_key(key, generation)
        await self._run_script(self._write_script, [self._prefix + key, lock], packed, retained)
        self._held.discard(lock)

    async def _read_or_lock(self, key: str, generation: int) -> tuple[bool, bytes | None, int]:
        keys = [self._prefix + key, self._lock_key(key, generation)]
        locked, retained, packed = await self._run_script(self._read_or_lock_script, keys, LOCK_SECONDS)
        return bool(locked), packed, retained

    async def _lock_and_get(self, key: str, generation: int) -> tuple[bool, bytes | None, int]:
        async def lock_and_get() -> tuple[bool, int, bytes | None]:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.set(self._lock_key(key, generation), b"1", nx=True, ex=LOCK_SECONDS)
                pipeline.pttl(self._prefix + key)
                pipeline.get(self._prefix + key)
                locked, retained, packed = await pipeline.execute()
                return bool(locked), retained, packed

        locked, retained, packed = await self._call(lock_and_get)
        return locked, packed, retained

    async def _or_default(self, answer: Awaitable[Result], default: Result) -> Result:
        """Return the answer of Redis, or the default while it fails."""
        try:
            return await answer
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
