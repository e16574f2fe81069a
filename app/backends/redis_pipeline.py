"""Commands that come in one moment share one round trip to Redis, on a connection of their own.

With a connection from the pool, and a time-out for each step, a command costs many times what Redis does for it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Connection
from redis.exceptions import ResponseError

from app.backends.batching import Batcher

RedisArg = str | bytes | memoryview | int


class AutoPipeline:
    def __init__(self, connection: Connection, seconds: float) -> None:
        """A round trip may take so many seconds, connecting included."""
        # For all steps together there is one time-out.
        connection.socket_timeout = None
        self._connection = connection
        self._seconds = seconds
        self._together: Batcher[bytes, Any] = Batcher(self._round_trip)

    async def ask(self, *command: RedisArg) -> Any:
        """Redis' reply. Raises RedisError or OSError."""
        # Its stub knows commands of one word only.
        return await self._together.ask(hiredis.pack_command(command))  # type: ignore[arg-type]

    async def close(self) -> None:
        """Once nobody waits for a reply any more."""
        await self._together.close()
        await self._connection.disconnect()

    async def _round_trip(self, commands: Sequence[bytes]) -> list[Any]:
        """Sends all and reads their replies; once more, at once, if Redis has closed an idle connection."""

        async def ask() -> list[Any]:
            await self._connection.send_packed_command(commands)
            return [await self._reply() for _ in commands]

        try:
            async with asyncio.timeout(self._seconds):
                return await self._connection.retry.call_with_retry(ask, lambda _: self._disconnect())
        except Exception:
            # Replies to these commands may still be on their way.
            await self._disconnect()
            raise

    async def _disconnect(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _reply(self) -> Any:
        """A refusal is the reply to one command only."""
        try:
            return await self._connection.read_response()
        except ResponseError as refusal:
            return refusal
