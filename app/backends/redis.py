"""Redis for uses that can do without it: calls have a short timeout, and a circuit breaker ends them during outages."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError, RedisError

from app.backends.circuit_breaker import CircuitBreaker
from app.backends.labels import REDIS_LABEL
from app.backends.redis_pipeline import AutoPipeline, RedisArg
from core.concurrency.resource_limits import DEFAULTS
from core.dependency_calls import SharedCall
from core.errors import BackendUnavailableError

log = structlog.get_logger()

FAILURES = (RedisError, OSError)
"""What a call raises that failed, a timeout included."""

MAX_FAILURES = 3
"""Failures that open the circuit. Few, because each costs a request the timeout."""

Result = TypeVar("Result")


class ResilientRedis:
    def __init__(self, client: Redis, *, seconds: float = DEFAULTS.redis_seconds) -> None:
        """`seconds` is the timeout of a call."""
        self.client = client
        self.breaker = CircuitBreaker("redis", REDIS_LABEL, failures=MAX_FAILURES)
        self._seconds = seconds
        self._pipeline = AutoPipeline(client.connection_pool.make_connection(), seconds)  # type: ignore[no-untyped-call]

    async def call(self, command: Callable[[], Awaitable[Result]]) -> Result:
        """Return the result of `command`, which calls the client. Raises: BackendUnavailableError."""
        with self.breaker:
            try:
                async with asyncio.timeout(self._seconds):
                    return await command()
            except FAILURES as error:
                raise _unavailable(error) from error

    async def run_script(self, script: AsyncScript, keys: Sequence[str], *arguments: RedisArg) -> Any:
        """Return the result of the script. Calls of the same moment share a round trip.

        Raises: BackendUnavailableError.
        """
        with self.breaker, SharedCall("redis", "script"):
            try:
                return await self._evaluate(script, keys, arguments)
            except FAILURES as error:
                raise _unavailable(error) from error

    async def close(self) -> None:
        await self._pipeline.close()
        await self.client.aclose()

    async def _evaluate(self, script: AsyncScript, keys: Sequence[str], arguments: Sequence[RedisArg]) -> Any:
        try:
            return await self._pipeline.execute("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._pipeline.execute("EVAL", script.script, len(keys), *keys, *arguments)


def _unavailable(error: Exception) -> BackendUnavailableError:
    log.warning("redis_failed", error=type(error).__name__)
    return BackendUnavailableError(REDIS_LABEL)
