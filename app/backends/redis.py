"""Redis as everything that can do without it asks it: never waited for long, and left alone while it fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError, RedisError

from app.backends.circuit_breaker import CircuitBreaker
from app.backends.redis_pipeline import AutoPipeline, RedisArg
from core.errors import BackendUnavailableError
from core.timeouts import DEFAULTS

log = structlog.get_logger()

REDIS_LABEL = "Redis"

FAILURES = 3
"""Few: while they go on, each costs a request its wait."""

Answer = TypeVar("Answer")


class ResilientRedis:
    def __init__(self, client: Redis, *, seconds: float = DEFAULTS.redis_seconds) -> None:
        self.client = client
        self.breaker = CircuitBreaker("redis", REDIS_LABEL, failures=FAILURES)
        self._seconds = seconds
        self._pipelined = AutoPipeline(client.connection_pool.make_connection(), seconds)  # type: ignore[no-untyped-call]

    async def ask(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `call` gets from the client. Raises BackendUnavailableError."""
        with self._guard():
            async with asyncio.timeout(self._seconds):
                return await call()

    async def run(self, script: AsyncScript, key: str, *arguments: RedisArg) -> Any:
        """What the script answers: for what many requests do, since those of one moment share a round trip.

        Raises BackendUnavailableError.
        """
        with self._guard():
            try:
                return await self._pipelined.ask("EVALSHA", script.sha, 1, key, *arguments)
            except NoScriptError:
                return await self._pipelined.ask("EVAL", script.script, 1, key, *arguments)

    async def close(self) -> None:
        await self._pipelined.close()
        await self.client.aclose()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        with self.breaker.protect():
            try:
                yield
            except (RedisError, OSError) as error:
                log.warning("redis_failed", error=type(error).__name__)
                raise BackendUnavailableError(REDIS_LABEL) from error
