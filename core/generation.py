"""The counter of changes in Redis, by which caches know what is outdated. Values are never reused."""

from typing import Any

from redis.asyncio import Redis

from core.clients import redis_key
from schemas.redis_keys import GENERATION_COUNTER, GENERATION_SERVER

UNKNOWN_SERVER = "unknown"
"""Stands for the run id of a Redis that does not disclose it."""

MAX_DIGITS = 15
"""Digits that numbers of Lua have exactly; the clock in milliseconds has 13."""

SCRIPT = f"""
local information = redis.pcall('INFO', 'server')
local server = type(information) == 'string' and string.match(information, 'run_id:(%w+)') or '{UNKNOWN_SERVER}'
local stored = redis.call('GET', KEYS[1]) or '0'
if not string.match(stored, '^-?%d+$') or #stored > {MAX_DIGITS} then
  return ''
end
local counter, known = tonumber(stored), tonumber(ARGV[1])
if server ~= redis.call('GET', KEYS[2]) or counter < known then
  local now = redis.call('TIME')
  counter = math.max(counter, known, now[1] * 1000 + math.floor(now[2] / 1000)) + 1
  redis.call('SET', KEYS[1], string.format('%.0f', counter))
end
redis.call('SET', KEYS[2], server)
return string.format('%.0f', counter)
"""
"""Return the counter, or an empty text if it is no number that was counted to.

If its past is uncertain, because another server process responds than the one that counted last (Redis restarted,
failed over or was restored) or the counter is below a number that was seen, it first leaps to the clock, beyond all
numbers that were ever used: entries with such numbers are then outdated in every process. It always writes: of a Redis
that refuses writes (full, without the replicas that it should have) the counter says nothing."""


async def current_generation(redis: Redis, known: int = 0) -> int:
    """Return the number of the last change; `known` is the highest number that the caller has seen.

    Raises: RedisError; ValueError if the counter is no number that was counted to.
    """
    keys = (redis_key(redis, GENERATION_COUNTER), redis_key(redis, GENERATION_SERVER))
    keys_and_arguments: tuple[Any, ...] = (*keys, known)
    return int(await redis.eval(SCRIPT, 2, *keys_and_arguments))  # type: ignore[misc]
