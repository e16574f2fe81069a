"""Redis as everything that can do without it asks it: never waited for long, and left alone while it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.breaker import Breaker
from app.errors import unavailable
from schemas.bounds import DEFAULTS

log = structlog.get_logger()

REDIS = "Redis"

FAILURES = 3
"""Few: while they go on, each costs a request its wait."""

Answer = TypeVar("Answer")


class GuardedRedis:
    def __init__(self, client: Redis, *, seconds: float = DEFAULTS.redis_seconds) -> None:
        self.client = client
        self.breaker = Breaker("redis", REDIS, failures=FAILURES)
        self._seconds = seconds

    async def ask(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `call` gets from the client. Raises 503 as ApiError."""
        with self.breaker.guard():
            try:
                async with asyncio.timeout(self._seconds):
                    return await call()
            except (RedisError, OSError) as error:
                log.warning("redis_failed", error=type(error).__name__)
                raise unavailable(REDIS) from error
