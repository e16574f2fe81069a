"""More searches than a process can answer, as a gateway sends them: on time, over connections that it keeps."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import orjson

from app.backends.http_client import HttpConnection
from scripts.benchmark.raw_request import RawRequest
from tests.fault_injection.api.constant_rate_client import is_refusal

CONNECTIONS = 512
"""The most that the gateway opens; a request that finds none free waits there."""


@dataclass(frozen=True, slots=True)
class Met:
    """What became of a request."""

    status: int
    seconds: float
    """From when it was sent, or began to wait for a connection."""
    body: bytes
    retry_after: int | None

    @property
    def refused(self) -> bool:
        return self.status == 503 and is_refusal(self.retry_after or 0, orjson.loads(self.body))


class Way(HttpConnection):
    """Hears when to come back, too."""

    retry_after: int | None = None

    def on_message_begin(self) -> None:
        self.retry_after = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.retry_after = int(value)


class Gateway:
    def __init__(self, url: str, searches: Sequence[Mapping[str, Any]]) -> None:
        calls = [RawRequest.build("POST", f"{url}/api/v2/recommendations", orjson.dumps(search)) for search in searches]
        self._first, self._calls = calls[0], cycle(calls)
        self._free: deque[Way] = deque()
        self._waiting: deque[asyncio.Future[Way]] = deque()

    async def open(self) -> None:
        for _ in range(CONNECTIONS):
            self._free.append(await Way.open(self._first.host, self._first.port))

    def close(self) -> None:
        for way in self._free:
            way.abort()

    async def one_after_the_other(self, *, at_once: int, seconds: float) -> list[Met]:
        """Each of so many visitors asks again once it has its answer."""
        end = time.monotonic() + seconds

        async def visitor() -> list[Met]:
            met = []
            while time.monotonic() < end:
                met.append(await self._ask())
            return met

        return [met for each in await asyncio.gather(*(visitor() for _ in range(at_once))) for met in each]

    async def at_rate(self, rate: float, *, seconds: float) -> list[Met]:
        start = time.monotonic()
        asking = []
        for number in range(int(rate * seconds)):
            if (early := start + number / rate - time.monotonic()) > 0:
                await asyncio.sleep(early)
            asking.append(asyncio.ensure_future(self._ask()))
        return await asyncio.gather(*asking)

    async def _ask(self) -> Met:
        call, began = next(self._calls), time.monotonic()
        way = await self._way()
        answer = await way.send(call.raw)
        self._give_back(way)
        return Met(answer.status, time.monotonic() - began, answer.body[:1000], way.retry_after)

    async def _way(self) -> Way:
        """The one used last, as gateways do; else the next to be free."""
        if self._free:
            return self._free.pop()
        waiting: asyncio.Future[Way] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting

    def _give_back(self, way: Way) -> None:
        if self._waiting:
            self._waiting.popleft().set_result(way)
        else:
            self._free.append(way)


@asynccontextmanager
async def gateway(url: str, searches: Sequence[Mapping[str, Any]]) -> AsyncIterator[Gateway]:
    """To the server at `url`, with its connections open."""
    gate = Gateway(url, searches)
    await gate.open()
    try:
        yield gate
    finally:
        gate.close()
        # Closed in the next turn of the loop.
        await asyncio.sleep(0)
