"""Automatic pipelining: Redis commands of the same moment share a round trip, on a connection of their own.

With a connection from the pool, and a timeout for each step, a command costs many times what Redis needs for it.
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import hiredis
from redis.asyncio import Connection
from redis.exceptions import ResponseError

from app.backends.batching import Batcher
from core.dependency_calls import count_call

RedisArg = str | bytes | memoryview | int


class AutoPipeline:
    def __init__(self, connection: Connection, seconds: float) -> None:
        """`seconds` is the timeout of a round trip, including connecting."""
        # One timeout covers all steps of a round trip.
        connection.socket_timeout = None
        self._connection = connection
        self._seconds = seconds
        self._batcher: Batcher[bytes, Any] = Batcher(self._round_trip)

    async def execute(self, *command: RedisArg) -> Any:
        """Return the reply of Redis. Raises: RedisError or OSError."""
        # The stub of hiredis allows commands of one word only.
        return await self._batcher.submit(hiredis.pack_command(command))  # type: ignore[arg-type]

    async def close(self) -> None:
        """Disconnect. Callers must not be waiting for a reply any more."""
        await self._batcher.close()
        await self._connection.disconnect()

    async def _round_trip(self, commands: Sequence[bytes]) -> list[Any]:
        """Send all commands and read their replies; retry once, at once, if Redis has closed an idle connection."""

        async def send_and_read() -> list[Any]:
            await self._connection.send_packed_command(commands)
            return [await self._read_reply() for _ in commands]

        started_at = perf_counter()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._connection.retry.call_with_retry(send_and_read, lambda _: self._disconnect())
        except Exception:
            # Replies to these commands may still arrive, and must not be taken for replies to others.
            await self._disconnect()
            raise
        finally:
            count_call("redis", "script", perf_counter() - started_at)

    async def _disconnect(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _read_reply(self) -> Any:
        """Return the reply to one command; an error reply is returned, for it concerns this command only."""
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error
