"""Hears from the worker what changed in the catalogue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import Counter
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from app.backends.redis import ResilientRedis
from app.cache.invalidation import InvalidationState
from app.cache.redis_store import RedisStore
from app.cache.response_cache import ResponseCache
from core.clients import redis_database
from core.retries import restart_backoff, retry_forever
from core.tasks import background_task
from schemas.invalidation import InvalidationMessage, channel
from schemas.redis_keys import GENERATION_COUNTER

log = structlog.get_logger()

LOST = Counter("smarttrip_changes_lost_total", "Times that the process stopped hearing of changes")

IDLE_RESYNC_SECONDS = 1.0
"""After so long without a message the counter is read: what was lost on the way is noticed."""

REDIS_TIMEOUT = 0.5
"""Seconds that Redis may take to answer."""

SUBSCRIPTION_ERRORS = (RedisError, TimeoutError, ValueError)
"""A ValueError is a generation counter that is not a number."""

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0


@asynccontextmanager
async def open_cache(redis: ResilientRedis, *, settle_seconds: float) -> AsyncIterator[ResponseCache]:
    """A cache that hears of changes for as long as the block lasts."""
    generations = InvalidationState()
    cache = ResponseCache(RedisStore(redis), generations, settle_seconds=settle_seconds)
    try:
        async with background_task(subscribe_to_invalidations(redis.client, generations)):
            await generations.settled.wait()
            yield cache
    finally:
        await cache.close()


async def subscribe_to_invalidations(redis: Redis, generations: InvalidationState) -> None:
    """Apply invalidation messages until cancelled; subscribe again whenever the subscription is lost."""

    def report_loss(error: BaseException, retry_after: float) -> None:
        generations.disconnect()
        LOST.inc()
        log.warning("changes_lost", error=type(error).__name__)

    retrying = retry_forever(
        SUBSCRIPTION_ERRORS, first=FIRST_RETRY_SECONDS, longest=LAST_RETRY_SECONDS, on_failure=report_loss
    )
    try:
        async for attempt in retrying:
            with attempt:
                async with redis.pubsub() as subscription:
                    await _subscribe(redis, subscription, generations)
                    restart_backoff(attempt)
                    while True:
                        await _follow(redis, subscription, generations)
    finally:
        generations.disconnect()


async def _subscribe(redis: Redis, subscription: PubSub, generations: InvalidationState) -> None:
    """The counter is read once Redis has confirmed the subscription: no change falls in between."""
    async with asyncio.timeout(REDIS_TIMEOUT):
        await subscription.subscribe(channel(redis_database(redis)))
        while await subscription.get_message(timeout=REDIS_TIMEOUT) is None:
            pass
    await _resync(redis, generations)


async def _follow(redis: Redis, subscription: PubSub, generations: InvalidationState) -> None:
    async with asyncio.timeout(IDLE_RESYNC_SECONDS + REDIS_TIMEOUT):
        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=IDLE_RESYNC_SECONDS)
    if message is None or not _apply(message["data"], generations):
        await _resync(redis, generations)


def _apply(message: bytes, generations: InvalidationState) -> bool:
    try:
        change = InvalidationMessage.model_validate_json(message)
    except ValidationError:
        log.warning("change_unreadable", message=message[:200])
        return False
    return generations.hear(change.generation, change.kinds)


async def _resync(redis: Redis, generations: InvalidationState) -> None:
    async with asyncio.timeout(REDIS_TIMEOUT):
        counter = await redis.get(GENERATION_COUNTER)
    generations.catch_up(int(counter or 0))
