"""Cache invalidation messages to all API processes, over Redis. A Redis that is down costs only freshness."""

import asyncio
import time
from collections.abc import Iterable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clients import redis_database
from schemas.invalidation import ALL_KINDS, EVERYTHING, InvalidationMessage, channel
from schemas.redis_keys import GENERATION_COUNTER

log = structlog.get_logger()

PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each attempt to publish that everything changed."""


async def publish(redis: Redis, kinds: Iterable[str]) -> int | None:
    """Publish that rows of these kinds changed; return the number of the change, or None if Redis failed."""
    changed: set[str] = set(kinds)
    if EVERYTHING in changed:
        changed = set(ALL_KINDS)
    try:
        # A counter that was lost restarts from the clock: a number must never come back with another meaning.
        await redis.set(GENERATION_COUNTER, time.time_ns() // 1_000_000, nx=True)
        generation: int = await redis.incr(GENERATION_COUNTER)
        message = InvalidationMessage(generation=generation, kinds=sorted(changed))
        await redis.publish(channel(redis_database(redis)), message.model_dump_json())
    except RedisError as error:
        log.warning("changes_not_told", error=type(error).__name__)
        return None
    return generation


async def publish_all_changed(redis: Redis) -> int | None:
    """Publish that everything may have changed, with retries: another index is live.

    Return the number of the change, or None if Redis fails for longer; caches then serve their entries until they
    expire.
    """
    for pause in PAUSES:
        await asyncio.sleep(pause)
        generation = await publish(redis, {EVERYTHING})
        if generation is not None:
            return generation
    log.error("new_index_not_told")
    return None
