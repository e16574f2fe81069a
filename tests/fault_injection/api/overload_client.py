"""Send more searches than a process can answer, as a gateway does: on time, over a pool of persistent connections."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import Any

import orjson

from app.backends.http_client import HttpConnection
from scripts.benchmark.load.raw_request import RawRequest
from scripts.drill.load_generator import Outcome, send_at_rate

CONNECTIONS = 512
"""Size of the connection pool; a request that finds no free connection waits for one."""
BODY_BYTES = 1000
"""Length of the start of each body that is retained."""


class GatewayConnection(HttpConnection):
    """A connection that parses Retry-After too."""

    retry_after = "0"

    def on_message_begin(self) -> None:
        self.retry_after = "0"

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = value.decode()


class OverloadClient:
    """Sends each call as bytes made once, because a general client costs more CPU than the server under test."""

    def __init__(self, url: str, searches: Sequence[Mapping[str, Any]]) -> None:
        calls = [RawRequest.build("POST", f"{url}/api/v2/recommendations", orjson.dumps(search)) for search in searches]
        self._first, self._calls = calls[0], cycle(calls)
        self._free: deque[GatewayConnection] = deque()
        self._waiting: deque[asyncio.Future[GatewayConnection]] = deque()

    async def open(self) -> None:
        for _ in range(CONNECTIONS):
            self._free.append(await GatewayConnection.open(self._first.host, self._first.port))

    def close(self) -> None:
        for connection in self._free:
            connection.abort()

    async def closed_loop(self, *, clients: int, seconds: float) -> list[Outcome]:
        """Send from `clients` clients, each of which waits for its response before it sends again."""
        end = time.monotonic() + seconds

        async def client() -> list[Outcome]:
            outcomes = []
            while (now := time.monotonic()) < end:
                outcomes.append(await self._send(next(self._calls), now))
            return outcomes

        return [outcome for each in await asyncio.gather(*(client() for _ in range(clients))) for outcome in each]

    async def open_loop(self, rate: float, *, seconds: float) -> list[Outcome]:
        """Send at a constant rate; latencies count from when a request was sent or began to wait for a connection."""

        async def send(call: RawRequest, due: float) -> Outcome:
            return await self._send(call, time.monotonic())

        return await send_at_rate(send, islice(self._calls, int(rate * seconds)), rate)

    async def _send(self, call: RawRequest, began: float) -> Outcome:
        connection = await self._acquire()
        response = await connection.send(call.raw)
        headers = {"Retry-After": connection.retry_after}
        self._release(connection)
        seconds = time.monotonic() - began
        return Outcome("search", response.status, began, seconds, headers, response.body[:BODY_BYTES])

    async def _acquire(self) -> GatewayConnection:
        """Return the connection used last, as gateways do, else the next that becomes free."""
        if self._free:
            return self._free.pop()
        waiting: asyncio.Future[GatewayConnection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting

    def _release(self, connection: GatewayConnection) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(connection)
        else:
            self._free.append(connection)


@asynccontextmanager
async def overload_client(url: str, searches: Sequence[Mapping[str, Any]]) -> AsyncIterator[OverloadClient]:
    """Open a client of the server at `url`, with all its connections established."""
    client = OverloadClient(url, searches)
    await client.open()
    try:
        yield client
    finally:
        client.close()
        # The transports are closed in the next iteration of the loop.
        await asyncio.sleep(0)
