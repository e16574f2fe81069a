"""Publish cache invalidation messages to all API processes, over Redis. A Redis that is down costs only freshness."""

from collections.abc import Iterable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clients import redis_database, redis_key
from core.concurrency.retries import retry_times
from core.generation import current_generation
from schemas.invalidation import ALL_KINDS, EVERYTHING, InvalidationMessage, channel
from schemas.redis_keys import GENERATION_COUNTER

log = structlog.get_logger()

ATTEMPTS = 5
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 4.0
"""Attempts to publish that everything changed, over 7.5 seconds."""


async def publish(redis: Redis, kinds: Iterable[str], *, known: int = 0) -> int | None:
    """Publish that rows of these kinds changed; return the number of the change, or None if Redis failed.

    `known` is the number of the caller's last change: a counter below it has gone back with its Redis.
    """
    try:
        return await _publish(redis, kinds, known)
    except RedisError:
        return None


async def publish_all_changed(redis: Redis) -> int | None:
    """Publish that everything may have changed, because another index is live; retry if Redis fails.

    Return the number of the change, or None if all attempts failed: caches then serve their entries until they expire.
    """
    retrying = retry_times(ATTEMPTS, (RedisError,), first=FIRST_RETRY_SECONDS, longest=LONGEST_RETRY_SECONDS)
    try:
        return await retrying(_publish, redis, {EVERYTHING})
    except RedisError:
        log.error("new_index_not_told")
        return None


async def _publish(redis: Redis, kinds: Iterable[str], known: int = 0) -> int:
    changed: set[str] = set(kinds)
    if EVERYTHING in changed:
        changed = set(ALL_KINDS)
    try:
        # A counter that was lost or reset is first advanced past every used value: generations are never reused.
        await current_generation(redis, known)
        generation: int = await redis.incr(redis_key(redis, GENERATION_COUNTER))
        message = InvalidationMessage(generation=generation, kinds=sorted(changed))
        await redis.publish(redis_key(redis, channel(redis_database(redis))), message.model_dump_json())
    except RedisError as error:
        log.warning("changes_not_told", error=type(error).__name__)
        raise
    return generation
