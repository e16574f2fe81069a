"""Send mutated requests and random bytes, as many as a server takes: `python -m tests.security.byte_fuzz`.

This client is a process of its own, so that its work does not delay who measures the server.
"""

import asyncio
import json
import random
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import uvloop

from tests.security.desync import LAST, REQUESTS

ACTIVE = 24
"""Connections that send or receive at once; more would only make a queue in the server."""
OPEN = 1024
"""Connections that are open at once: most of them have sent an unfinished request."""
ACTIVE_SECONDS = 0.02
"""Time after which a connection without a response is taken to have sent an unfinished request."""
UNFINISHED_SECONDS = 0.3
"""How long a response is waited for altogether."""
MAX_EXAMPLES = 10

ORDINARY = [request for request in REQUESTS if request.is_ordinary]
"""Requests that are served unless they are mutated: half of the inputs are made of them."""
REQUEST_LINE = re.compile(rb"[A-Za-z-]+ +\S+ +HTTP/\d")
FINAL_STATUS = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ")
REFUSED = (b"400", b"501", b"505")
EXPECTED = (b"200", b"204", b"404", b"405", b"408", b"413", b"415", b"503", *REFUSED)
PIECES = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b":",
    b"\t",
    b"0",
    b"f",
    b"-1",
    b";",
    b"\xff",
    b"chunked",
    LAST,
)


@dataclass
class FuzzResult:
    """What came of the inputs; equal seeds make equal inputs."""

    seed: int
    inputs: int = 0
    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    refused_connections: int = 0
    failures: list[str] = field(default_factory=list)
    """The first inputs that got more responses than they had requests, or an unexpected one."""


class Mutator:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def packets(self) -> list[bytes]:
        """Return an input, cut into packets."""
        data = self._random.randbytes(200) if self._random.random() < 0.05 else self._mutated()
        cuts = sorted(self._random.randrange(len(data) + 1) for _ in range(self._random.choice((0, 0, 1, 2))))
        bounds = [0, *cuts, len(data)]
        return [data[start:end] for start, end in pairwise(bounds)]

    def _mutated(self) -> bytes:
        request = self._random.choice(self._random.choice((REQUESTS, ORDINARY)))
        data = bytearray(request.head + request.body + LAST)
        for _ in range(self._random.choice((1, 1, 2, 5))):
            position = self._random.randrange(len(data))
            match self._random.randrange(4):
                case 0:
                    data[position] = self._random.randrange(256)
                case 1:
                    del data[position : position + self._random.randrange(1, 10)]
                case 2:
                    data[position:position] = self._random.choice(PIECES)
                case _:
                    length = self._random.randrange(1, 40)
                    data[position:position] = data[position : position + length]
        return bytes(data)


class Exchange(asyncio.Protocol):
    """One connection: send packets, and collect what is received until the server closes it."""

    def __init__(self, packets: list[bytes]) -> None:
        self._packets = packets
        self.received = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._send_next()

    def _send_next(self) -> None:
        if self._packets and not self._transport.is_closing():
            self._transport.write(self._packets.pop(0))
            # Packets of one loop iteration would be sent as one.
            asyncio.get_running_loop().call_soon(self._send_next)

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def abort(self) -> None:
        self._transport.abort()


class Fuzzer:
    def __init__(self, port: int, seed: int) -> None:
        self.result = FuzzResult(seed)
        self._port = port
        self._mutator = Mutator(seed)
        self._active = asyncio.Semaphore(ACTIVE)
        self._open = asyncio.Semaphore(OPEN)

    async def run(self, count: int, seconds: float) -> None:
        """Send `count` inputs, or as many as are possible in `seconds`."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            while self.result.inputs < count and time.monotonic() - began < seconds:
                await self._open.acquire()
                await self._active.acquire()
                self.result.inputs += 1
                tasks.create_task(self._exchange(self._mutator.packets()))
        self.result.seconds = time.monotonic() - began

    async def _exchange(self, packets: list[bytes]) -> None:
        sent = b"".join(packets)
        try:
            received = await self._received_for(packets)
        finally:
            self._open.release()
        if received is None:
            self.result.refused_connections += 1
        else:
            self._judge(sent, received)

    async def _received_for(self, packets: list[bytes]) -> bytes | None:
        """Return the response, or None if there is no connection."""
        loop = asyncio.get_running_loop()
        try:
            _, exchange = await loop.create_connection(lambda: Exchange(packets), "127.0.0.1", self._port)
            await asyncio.wait([exchange.ended], timeout=ACTIVE_SECONDS)
        except OSError:
            return None
        finally:
            self._active.release()
        await asyncio.wait([exchange.ended], timeout=UNFINISHED_SECONDS - ACTIVE_SECONDS)
        exchange.abort()
        return bytes(exchange.received)

    def _judge(self, sent: bytes, received: bytes) -> None:
        statuses = FINAL_STATUS.findall(received)
        for status in statuses:
            self.result.statuses[status.decode()] = self.result.statuses.get(status.decode(), 0) + 1
        is_expected = all(status in EXPECTED for status in statuses)
        if statuses and statuses[-1] in REFUSED:
            # What follows the last request is refused, whatever it is.
            statuses.pop()
        if not is_expected or len(statuses) > len(REQUEST_LINE.findall(sent)):
            self.result.failures = [*self.result.failures, repr((sent, received))][:MAX_EXAMPLES]


async def fuzz(port: int, seed: int, count: int, seconds: float) -> FuzzResult:
    fuzzer = Fuzzer(port, seed)
    await fuzzer.run(count, seconds)
    return fuzzer.result


if __name__ == "__main__":
    port, seed, count, seconds = map(int, sys.argv[1:])
    sys.stdout.write(json.dumps(asdict(uvloop.run(fuzz(port, seed, count, seconds)))))
