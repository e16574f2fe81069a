"""Tells every process that serves what changed, over Redis; a Redis that is down costs only freshness of caches."""

import asyncio
import time
from collections.abc import Iterable

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from indexer import metrics
from indexer.feed import fan_out
from indexer.index.outbox import OCCURRENCE
from schemas.redis_keys import GENERATION_COUNTER, INVALIDATION_CHANNEL

log = structlog.get_logger()

PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each try to tell everything."""

KINDS = frozenset({OCCURRENCE, *fan_out.ENTITY_KINDS} - {fan_out.EVERYTHING})


def channel(redis: Redis) -> str:
    """Channels are the whole server's: one of its own for each of its databases."""
    return f"{INVALIDATION_CHANNEL}:{redis.connection_pool.connection_kwargs.get('db', 0)}"


async def publish(redis: Redis, kinds: Iterable[str]) -> bool:
    """False if it could not be told."""
    told = set(kinds)
    if fan_out.EVERYTHING in told:
        told = set(KINDS)
    try:
        # A counter that was lost goes on from the clock: a number must never come back with another meaning.
        await redis.set(GENERATION_COUNTER, time.time_ns() // 1_000_000, nx=True)
        generation = await redis.incr(GENERATION_COUNTER)
        await redis.publish(channel(redis), orjson.dumps({"generation": generation, "kinds": sorted(told)}))
    except RedisError as error:
        metrics.UNTOLD.inc()
        log.warning("changes_not_told", error=type(error).__name__)
        return False
    metrics.GENERATION.set(generation)
    return True


async def publish_all_changed(redis: Redis) -> None:
    """Another index is in use. If Redis stays away for longer, caches keep what they have until it expires."""
    for pause in PAUSES:
        await asyncio.sleep(pause)
        if await publish(redis, {fan_out.EVERYTHING}):
            return
    log.error("new_index_not_told")
