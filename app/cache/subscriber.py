"""Subscriber to the invalidation messages of the worker."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, takewhile

import structlog
from msgspec import DecodeError
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from app.backends.redis import ResilientRedis
from app.cache.invalidation_state import InvalidationState
from app.cache.redis_store import RedisStore
from app.cache.response_cache import ResponseCache
from core.clients import redis_database, redis_key
from core.concurrency.retries import restart_backoff, retry_forever
from core.concurrency.tasks import background_task
from core.generation import current_generation
from schemas.invalidation_message import InvalidationMessage, channel, decode_message
from schemas.redis_keys import RECENT_CHANGES

log = structlog.get_logger()

LOST = Counter("smarttrip_changes_lost_total", "Times that the process stopped hearing of changes")

IDLE_RESYNC_SECONDS = 1.0
"""Seconds without a message after which the generation counter is read, to notice lost messages and a Redis that has
gone back to an earlier state."""

MAX_MISSED = 100
"""Messages that are read after an interruption, or by a process that starts; after more, everything is outdated."""

SPARE_MESSAGES = 20
"""Messages that are read besides: others may be sent meanwhile."""

REDIS_TIMEOUT = 0.5
"""Timeout of a call to Redis in seconds."""

SUBSCRIPTION_ERRORS = (RedisError, TimeoutError, ValueError)
"""A ValueError is a generation counter that is not a number."""

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0


@asynccontextmanager
async def open_cache(
    redis: ResilientRedis, *, replica_lag_seconds: float, subscribed: bool
) -> AsyncIterator[ResponseCache]:
    """Open a cache that is invalidated during the block; one that is not `subscribed` trusts no shared entry."""
    invalidation = InvalidationState()
    cache = ResponseCache(RedisStore(redis), invalidation, replica_lag_seconds=replica_lag_seconds)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cache.close)
        if subscribed:
            await stack.enter_async_context(background_task(subscribe_to_invalidations(redis.client, invalidation)))
            await invalidation.ready.wait()
        yield cache


async def subscribe_to_invalidations(redis: Redis, invalidation: InvalidationState) -> None:
    """Apply invalidation messages until cancelled; subscribe again whenever the subscription is lost."""

    def report_loss(error: BaseException, retry_after: float) -> None:
        invalidation.disconnect()
        LOST.inc()
        log.warning("changes_lost", error=type(error).__name__)

    retrying = retry_forever(
        SUBSCRIPTION_ERRORS, first=FIRST_RETRY_SECONDS, longest=LAST_RETRY_SECONDS, on_failure=report_loss
    )
    try:
        async for attempt in retrying:
            with attempt:
                async with redis.pubsub() as subscription:
                    await _subscribe(redis, subscription, invalidation)
                    restart_backoff(attempt)
                    while True:
                        await _process_next_message(redis, subscription, invalidation)
    finally:
        invalidation.disconnect()


async def _subscribe(redis: Redis, subscription: PubSub, invalidation: InvalidationState) -> None:
    """Subscribe, and read the counter once Redis has confirmed: so no change is missed between the two."""
    async with asyncio.timeout(REDIS_TIMEOUT):
        await subscription.subscribe(redis_key(redis, channel(redis_database(redis))))
        while await subscription.get_message(timeout=REDIS_TIMEOUT) is None:
            pass
    await _resync(redis, invalidation)


async def _process_next_message(redis: Redis, subscription: PubSub, invalidation: InvalidationState) -> None:
    async with asyncio.timeout(IDLE_RESYNC_SECONDS + REDIS_TIMEOUT):
        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=IDLE_RESYNC_SECONDS)
    if message is None or not _apply(message["data"], invalidation):
        await _resync(redis, invalidation)


def _apply(data: bytes, invalidation: InvalidationState) -> bool:
    """Apply a message. Return False if it is unreadable or not the next one."""
    message = _read(data)
    return message is not None and invalidation.apply(message.generation, message.kinds, message.departures)


def _read(data: bytes) -> InvalidationMessage | None:
    try:
        return decode_message(data)
    except DecodeError:
        log.warning("change_unreadable", message=data[:200])
        return None


async def _resync(redis: Redis, invalidation: InvalidationState) -> None:
    """Catch up with the counter: apply the messages that were missed, as far as Redis retains them."""
    async with asyncio.timeout(REDIS_TIMEOUT):
        counter = await current_generation(redis, invalidation.current)
        missed = counter - invalidation.current if invalidation.current else MAX_MISSED
        retained = await _retained_messages(redis, missed) if 0 < missed <= MAX_MISSED else []
    invalidation.catch_up(_latest(filter(None, map(_read, retained)), counter))
    invalidation.resync(counter)


async def _retained_messages(redis: Redis, number: int) -> list[bytes]:
    """Return at least the latest messages of this number, as far as they are retained."""
    key = redis_key(redis, RECENT_CHANGES)
    retained: list[bytes] = await redis.lrange(key, -number - SPARE_MESSAGES, -1)  # type: ignore[misc]
    return retained


def _latest(messages: Iterable[InvalidationMessage], counter: int) -> list[InvalidationMessage]:
    """Return the messages up to the counter of which none is missing, in order."""
    by_generation = {message.generation: message for message in messages}
    generations = takewhile(by_generation.__contains__, count(counter, -1))
    return [by_generation[generation] for generation in generations][::-1]
