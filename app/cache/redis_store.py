"""Second cache level, in Redis, shared by all processes. During an outage of Redis it behaves as if it were empty."""

import struct
from collections.abc import Awaitable
from typing import TypeVar

from prometheus_client import Counter
from redis.commands.core import AsyncScript

from app.backends.circuit_breaker import CircuitState
from app.backends.redis import ResilientRedis
from app.cache.entry import StoredEntry
from core.clients import redis_key
from core.errors import BackendError

REDIS_ERRORS = Counter(
    "smarttrip_cache_redis_errors_total", "Accesses without Redis: it failed, or its circuit breaker was open"
)

PREFIX = "smarttrip:cache:5:"
"""Prefix of all keys. The number is the version of the entry format."""

TAKE_LOCK = """
local holder = redis.call('GET', KEYS[2])
local locked = not holder or (tonumber(holder) or -1) < tonumber(ARGV[2])
if locked then
  redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[3])
end
"""
"""Take the lock KEYS[2] for ARGV[3] seconds with the generation ARGV[1], unless it is that of a load since ARGV[2]:
what an earlier one loads is of no use to the caller."""

READ_OR_LOCK = f"""
local packed = redis.call('GET', KEYS[1])
if packed then
  return {{0, redis.call('PTTL', KEYS[1]), packed}}
end
{TAKE_LOCK}
return {{locked and 1 or 0, 0, false}}
"""
"""Return the entry in KEYS[1] with the milliseconds for which it is retained; if there is none, take the lock, and
return whether it could be taken."""

LOCK_AND_READ = f"""
{TAKE_LOCK}
return {{locked and 1 or 0, redis.call('PTTL', KEYS[1]), redis.call('GET', KEYS[1])}}
"""
"""The same, but take the lock also if there is an entry."""

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""
"""Release the lock KEYS[1] of a load since ARGV[1], unless somebody else has taken it since."""

WRITE = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if redis.call('GET', KEYS[2]) == ARGV[3] then
  redis.call('DEL', KEYS[2])
end
"""
"""Store the entry ARGV[1] in KEYS[1] for ARGV[2] milliseconds, and release the lock KEYS[2] of a load since ARGV[3] in
the same atomic step, so that no process finds neither."""

LOCK_SECONDS = 5
"""Lifetime of a lock: other processes wait at most this long for one that died while it loaded a body."""

Result = TypeVar("Result")


class RedisStore:
    def __init__(self, redis: ResilientRedis) -> None:
        self._run_script = redis.run_script
        self._breaker = redis.breaker
        self._prefix = redis_key(redis.client, PREFIX)
        register = redis.client.register_script
        self._read_or_lock, self._lock_and_read = register(READ_OR_LOCK), register(LOCK_AND_READ)
        self._write_script, self._release = register(WRITE), register(RELEASE)
        self._held: set[tuple[str, int]] = set()
        """Keys and generations of the locks that this process has."""

    @property
    def is_answering(self) -> bool:
        """Whether the last calls to Redis have not all failed."""
        return self._breaker.state is CircuitState.CLOSED

    async def read_or_lock(self, key: str, generation: int, oldest: int) -> tuple[bool, StoredEntry | None]:
        """Return the present entry; without one, whether the caller got the lock to load this body.

        It gets none while somebody loads the body who began at the generation `oldest` or later.
        """
        return await self._locked_and_entry(self._read_or_lock, key, generation, oldest)

    async def lock_and_get(self, key: str, generation: int, oldest: int) -> tuple[bool, StoredEntry | None]:
        """Return whether the caller got the lock to load this body, and the present entry, in one atomic step."""
        return await self._locked_and_entry(self._lock_and_read, key, generation, oldest)

    async def write(self, key: str, entry: StoredEntry) -> None:
        """Store the entry, and release its lock: it is of no use any more, whoever has it."""
        packed, retained = entry.pack(), round((entry.fresh_seconds + entry.stale_seconds) * 1000)
        await self._or_default(self._write(key, entry.generation, packed, retained), None)

    async def unlock(self, key: str, generation: int) -> None:
        """Release the lock, unless it was released with an entry."""
        if (key, generation) in self._held:
            self._held.remove((key, generation))
            release = self._run_script(self._release, [self._lock_key(key)], generation)
            await self._or_default(release, None)

    async def _locked_and_entry(
        self, script: AsyncScript, key: str, generation: int, oldest: int
    ) -> tuple[bool, StoredEntry | None]:
        keys = [self._prefix + key, self._lock_key(key)]
        without_redis: tuple[bool, int, bytes | None] = (True, 0, None)
        running = self._run_script(script, keys, generation, oldest, LOCK_SECONDS)
        locked, retained, packed = await self._or_default(running, without_redis)
        if locked:
            self._held.add((key, generation))
        return bool(locked), _unpack(packed, retained)

    async def _write(self, key: str, generation: int, packed: bytes, retained: int) -> None:
        await self._run_script(
            self._write_script, [self._prefix + key, self._lock_key(key)], packed, retained, generation
        )
        self._held.discard((key, generation))

    async def _or_default(self, answer: Awaitable[Result], default: Result) -> Result:
        """Return the answer of Redis, or the default while it fails."""
        try:
            return await answer
        except BackendError:
            REDIS_ERRORS.inc()
            return default

    def _lock_key(self, key: str) -> str:
        return f"{self._prefix}lock:{key}"


def _unpack(packed: bytes | None, retained_milliseconds: int) -> StoredEntry | None:
    try:
        return StoredEntry.unpack(packed, retained_milliseconds / 1000) if packed else None
    except (struct.error, ValueError):
        # Not written by this application.
        return None
