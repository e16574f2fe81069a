"""Hears from the worker what changed in the catalogue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from app.backends.redis import GuardedRedis
from app.cache import Cache, Generations, SharedLevel
from core.tasks import beside
from indexer.invalidation import channel
from schemas.redis_keys import GENERATION

log = structlog.get_logger()

LOST = Counter("smarttrip_changes_lost_total", "Times that the process stopped hearing of changes")

QUIET_SECONDS = 1.0
"""After so long without a message the counter is read: what was lost on the way is noticed."""

PATIENCE = 0.5
"""Seconds that Redis may take to answer."""

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0


class Change(BaseModel):
    generation: int
    kinds: list[str]


@asynccontextmanager
async def running_cache(redis: GuardedRedis, *, settle_seconds: float) -> AsyncIterator[Cache]:
    """A cache that hears of changes for as long as the block lasts."""
    generations = Generations()
    cache = Cache(SharedLevel(redis), generations, settle_seconds=settle_seconds)
    try:
        async with beside(follow_changes(redis.client, generations)):
            await generations.settled.wait()
            yield cache
    finally:
        await cache.close()


async def follow_changes(redis: Redis, generations: Generations) -> None:
    """Runs until it is cancelled."""
    retry_after = FIRST_RETRY_SECONDS
    try:
        while True:
            try:
                async with redis.pubsub() as subscription:
                    await _begin(redis, subscription, generations)
                    retry_after = FIRST_RETRY_SECONDS
                    while True:
                        await _follow(redis, subscription, generations)
            except (RedisError, TimeoutError, ValueError) as error:
                # A ValueError is a counter that is no number.
                generations.lose()
                LOST.inc()
                log.warning("changes_lost", error=type(error).__name__)
                await asyncio.sleep(retry_after)
                retry_after = min(retry_after * 2, LAST_RETRY_SECONDS)
    finally:
        generations.lose()


async def _begin(redis: Redis, subscription: PubSub, generations: Generations) -> None:
    """The counter is read once Redis has confirmed the subscription: no change falls in between."""
    async with asyncio.timeout(PATIENCE):
        await subscription.subscribe(channel(redis))
        while await subscription.get_message(timeout=PATIENCE) is None:
            pass
    await _catch_up(redis, generations)


async def _follow(redis: Redis, subscription: PubSub, generations: Generations) -> None:
    async with asyncio.timeout(QUIET_SECONDS + PATIENCE):
        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=QUIET_SECONDS)
    if message is None or not _hear(message["data"], generations):
        await _catch_up(redis, generations)


def _hear(message: bytes, generations: Generations) -> bool:
    try:
        change = Change.model_validate_json(message)
    except ValidationError:
        log.warning("change_unreadable", message=message[:200])
        return False
    return generations.hear(change.generation, change.kinds)


async def _catch_up(redis: Redis, generations: Generations) -> None:
    async with asyncio.timeout(PATIENCE):
        counter = await redis.get(GENERATION)
    generations.catch_up(int(counter or 0))
