"""Publish cache invalidation messages to all API processes, over Redis. A Redis that is down costs only freshness."""

from collections.abc import Iterable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clients import redis_database, redis_key
from core.concurrency.retries import retry_times
from core.generation import current_generation
from schemas.invalidation import ALL_KINDS, EVERYTHING, DepartureChanges, InvalidationMessage, channel, encode_message
from schemas.redis_keys import GENERATION_COUNTER, RECENT_CHANGES

log = structlog.get_logger()

MAX_RETAINED = 300
"""Messages that Redis retains: those of 90 seconds at least."""
RETAINED_SECONDS = 600

ATTEMPTS = 5
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 4.0
"""Attempts to publish that everything changed, over 7.5 seconds."""


async def publish(
    redis: Redis, kinds: Iterable[str], departures: DepartureChanges | None = None, *, known: int = 0
) -> int | None:
    """Publish that rows of these kinds changed; return the number of the change, or None if Redis failed.

    `departures` are all the departures that changed, if that is known. `known` is the number of the caller's last
    change: a counter below it has gone back with its Redis.
    """
    try:
        return await _publish(redis, kinds, departures, known=known)
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


async def _publish(
    redis: Redis, kinds: Iterable[str], departures: DepartureChanges | None = None, *, known: int = 0
) -> int:
    changed: set[str] = set(kinds)
    if EVERYTHING in changed:
        changed, departures = set(ALL_KINDS), None
    try:
        # A counter that was lost or reset is first advanced past every used value: generations are never reused.
        await current_generation(redis, known)
        generation: int = await redis.incr(redis_key(redis, GENERATION_COUNTER))
        await _send(redis, InvalidationMessage(generation, sorted(changed), departures))
    except RedisError as error:
        log.warning("changes_not_told", error=type(error).__name__)
        raise
    return generation


async def _send(redis: Redis, message: InvalidationMessage) -> None:
    """Send the message to all subscribers, and retain it for those that miss it."""
    text, retained = encode_message(message), redis_key(redis, RECENT_CHANGES)
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.rpush(retained, text)
        pipeline.ltrim(retained, -MAX_RETAINED, -1)
        pipeline.expire(retained, RETAINED_SECONDS)
        pipeline.publish(redis_key(redis, channel(redis_database(redis))), text)
        await pipeline.execute()
