"""Commands that come in one moment share one round trip to Redis, on a connection of their own.

With a connection from the pool, and a time-out for each step, a command costs many times what Redis does for it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Connection
from redis.exceptions import ResponseError

from indexer.ending import end

Word = str | bytes | memoryview | int


class Pipelined:
    def __init__(self, connection: Connection, seconds: float) -> None:
        """A round trip may take so many seconds, connecting included."""
        # For all steps together there is one time-out.
        connection.socket_timeout = None
        self._connection = connection
        self._seconds = seconds
        self._waiting: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, *command: Word) -> Any:
        """Redis' reply. Raises RedisError or OSError."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        # Its stub knows commands of one word only.
        self._waiting.append((hiredis.pack_command(command), reply))  # type: ignore[arg-type]
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_all())
        return await reply

    async def close(self) -> None:
        """Once nobody waits for a reply any more."""
        if self._asking is not None:
            await end([self._asking])
        await self._connection.disconnect()

    async def _ask_all(self) -> None:
        while self._waiting:
            # A turn of the loop, for what has arrived by now: fewer, larger round trips are cheaper for all.
            await asyncio.sleep(0)
            asked, self._waiting = self._waiting, []
            try:
                async with asyncio.timeout(self._seconds):
                    replies = await self._round_trip([command for command, _ in asked])
            except Exception as error:  # noqa: BLE001  # it rises where it is waited for
                await self._connection.disconnect(nowait=True)
                # Who came meanwhile does not wait for the same once more.
                asked, self._waiting = [*asked, *self._waiting], []
                replies = [error] * len(asked)
            for (_, reply), said in zip(asked, replies, strict=True):
                settle(reply, said)
        self._asking = None

    async def _round_trip(self, commands: Sequence[bytes]) -> list[Any]:
        """Once more, at once, on a connection that Redis has closed while nobody needed it."""

        async def ask() -> list[Any]:
            await self._connection.send_packed_command(commands)
            return [await self._reply() for _ in commands]

        return await self._connection.retry.call_with_retry(ask, lambda _: self._connection.disconnect(nowait=True))

    async def _reply(self) -> Any:
        """A refusal is the reply to one command only."""
        try:
            return await self._connection.read_response()
        except ResponseError as refusal:
            return refusal


def settle(awaited: asyncio.Future[Any], outcome: Any) -> None:
    """Gives it the outcome, an error or a result; who waited for it and gave up takes nothing away from the others."""
    if awaited.done():
        return
    if isinstance(outcome, Exception):
        awaited.set_exception(outcome)
    else:
        awaited.set_result(outcome)
