"""Cache invalidation messages to all API processes, over Redis. A Redis that is down costs only freshness."""

import asyncio
import time
from collections.abc import Iterable

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from indexer.index.dependents import ENTITY_KINDS, EVERYTHING
from indexer.index.outbox import OCCURRENCE
from schemas.redis_keys import GENERATION_COUNTER, INVALIDATION_CHANNEL

log = structlog.get_logger()

PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each attempt to publish that everything changed."""

KINDS = frozenset({OCCURRENCE, *ENTITY_KINDS} - {EVERYTHING})


def channel(redis: Redis) -> str:
    """Channels are the whole server's: one of its own for each of its databases."""
    return f"{INVALIDATION_CHANNEL}:{redis.connection_pool.connection_kwargs.get('db', 0)}"


async def publish(redis: Redis, kinds: Iterable[str]) -> int | None:
    """Publish that rows of these kinds changed; return the number of the change, or None if Redis failed."""
    changed = set(kinds)
    if EVERYTHING in changed:
        changed = set(KINDS)
    try:
        # A counter that was lost restarts from the clock: a number must never come back with another meaning.
        await redis.set(GENERATION_COUNTER, time.time_ns() // 1_000_000, nx=True)
        generation: int = await redis.incr(GENERATION_COUNTER)
        await redis.publish(channel(redis), orjson.dumps({"generation": generation, "kinds": sorted(changed)}))
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
