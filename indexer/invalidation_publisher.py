"""Publish cache invalidation messages to all API processes, over Redis, whose outage delays them and loses no data."""

from collections.abc import Iterable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clients import redis_database, redis_key
from core.concurrency.retries import retry_times
from core.generation import SCRIPT
from schemas.invalidation_message import (
    ALL_KINDS,
    EVERYTHING,
    DepartureChanges,
    InvalidationMessage,
    channel,
    encode_message,
)
from schemas.redis_keys import GENERATION_COUNTER, GENERATION_SERVER, RECENT_CHANGES

log = structlog.get_logger()

MAX_RETAINED = 300
"""Messages that Redis retains: those of 90 seconds at least."""
RETAINED_SECONDS = 600

NUMBERED = b'{"generation":0'
"""Begin of a message whose number is 0."""

PUBLISH = f"""
local function advance_lost_counter()
{SCRIPT}
end
advance_lost_counter()
local generation = string.format('%.0f', redis.call('INCR', KEYS[1]))
local message = '{{"generation":' .. generation .. ARGV[2]
redis.call('RPUSH', KEYS[3], message)
redis.call('LTRIM', KEYS[3], -tonumber(ARGV[4]), -1)
redis.call('EXPIRE', KEYS[3], ARGV[5])
redis.call('PUBLISH', ARGV[3], message)
return generation
"""
"""Number a message, retain it for processes that miss it, and send it to all subscribers: in one step, so that messages
of several workers arrive in the order of their numbers. Numbers are never reused."""

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
    text = encode_message(InvalidationMessage(0, sorted(changed), departures)).removeprefix(NUMBERED)
    keys = [redis_key(redis, key) for key in (GENERATION_COUNTER, GENERATION_SERVER, RECENT_CHANGES)]
    channel_name = redis_key(redis, channel(redis_database(redis)))
    arguments: tuple[Any, ...] = (known, text, channel_name, MAX_RETAINED, RETAINED_SECONDS)
    try:
        return int(await redis.eval(PUBLISH, len(keys), *keys, *arguments))  # type: ignore[misc]
    except RedisError as error:
        log.warning("changes_not_told", error=type(error).__name__)
        raise
