"""The level that all processes and instances share. Without Redis it is empty, and that is counted."""

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.cache.body import Record
from app.cache.metrics import REDIS_ERRORS

log = structlog.get_logger()

PREFIX = "smarttrip:cache:1:"
"""The number belongs to the records' format."""

LOCK_SECONDS = 5
"""How long others wait at most for a process that died while it was making a body."""


class SharedLevel:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, key: str) -> Record | None:
        try:
            packed = await self._redis.get(PREFIX + key)
        except RedisError as error:
            _count(error)
            return None
        return Record.unpack(packed) if packed else None

    async def claim(self, key: str, generation: int) -> tuple[bool, Record | None]:
        """Whether the caller is the one to make this body, and what lies there by now, in one step."""
        try:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.set(_lock(key, generation), b"1", nx=True, ex=LOCK_SECONDS)
                pipeline.get(PREFIX + key)
                claimed, packed = await pipeline.execute()
        except RedisError as error:
            _count(error)
            return True, None
        return bool(claimed), Record.unpack(packed) if packed else None

    async def write(self, key: str, record: Record, *, keep_seconds: float) -> None:
        try:
            await self._redis.set(PREFIX + key, record.pack(), px=int(keep_seconds * 1000))
        except RedisError as error:
            _count(error)

    async def release(self, key: str, generation: int) -> None:
        """After `write`, so that nobody finds neither claim nor body."""
        try:
            await self._redis.delete(_lock(key, generation))
        except RedisError as error:
            _count(error)


def _lock(key: str, generation: int) -> str:
    """With the generation: what was begun before a change must not hold up what is made after it."""
    return f"{PREFIX}lock:{generation}:{key}"


def _count(error: RedisError) -> None:
    REDIS_ERRORS.inc()
    log.warning("cache_without_redis", error=type(error).__name__)
