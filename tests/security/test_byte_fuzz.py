"""Fuzzing of the HTTP parser: mutated requests and random bytes on the socket.

`BYTE_FUZZ_SEED` repeats the inputs of a run; each run logs its seed.
"""

import asyncio
import logging
import os
import random
import re
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from core.settings import Settings
from tests.security.conftest import BODY_SECONDS
from tests.security.desync import LAST, REQUESTS
from tests.support.api.serve_process import serve_process
from tests.support.http_client import http_client
from tests.support.processes import RunningProcess
from tests.support.raw_http import connect_raw

log = logging.getLogger(__name__)

AT_ONCE = 32
PER_CONNECTION_SECONDS = 0.1
"""How long responses are waited for: most inputs end the connection, others leave a request unfinished."""
WARM_UP = 500
GROWTH_KB = 20_000
PROBE_SECONDS = 2.0
"""Longest time of a probe in between, on a machine that runs other tests too."""

REQUEST_LINE = re.compile(rb"[A-Za-z-]+ +\S+ +HTTP/\d")
FINAL_STATUS = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ")
REFUSED = (b"400", b"501", b"505")
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
        request = self._random.choice(REQUESTS)
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


@pytest.fixture(scope="module")
async def process(settings: Settings, trip: int) -> AsyncIterator[RunningProcess]:
    async with serve_process(settings, BODY_SECONDS=str(BODY_SECONDS)) as serving:
        yield serving


def resident_kb(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]


async def received_for(url: str, packets: list[bytes]) -> bytes:
    received = bytearray()
    async with connect_raw(url) as connection:
        try:
            for packet in packets:
                await connection.send(packet)
            async with asyncio.timeout(PER_CONNECTION_SECONDS):
                while part := await connection.read_some():
                    received += part
        except (TimeoutError, ConnectionError):
            pass
    return bytes(received)


async def fuzz(process: RunningProcess, mutator: Mutator, count: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def send_one() -> None:
        async with gate:
            packets = mutator.packets()
            received = await received_for(process.url, packets)
        sent = b"".join(packets)
        statuses = FINAL_STATUS.findall(received)
        if statuses and statuses[-1] in REFUSED:
            # What follows the last request is refused, whatever it is.
            statuses.pop()
        assert len(statuses) <= len(REQUEST_LINE.findall(sent)), (packets, received)

    for start in range(0, count, WARM_UP):
        await asyncio.gather(*(send_one() for _ in range(min(WARM_UP, count - start))))
        began = time.monotonic()
        async with http_client(process.url) as client:
            assert (await client.get("/livez")).status_code == 200
        assert time.monotonic() - began < PROBE_SECONDS


@pytest.mark.parametrize("count", [5000, pytest.param(200_000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
async def test_no_bytes_crash_the_server_or_get_more_responses(process: RunningProcess, count: int) -> None:
    seed = int(os.environ.get("BYTE_FUZZ_SEED", time.time_ns() % 10**9))
    log.info("BYTE_FUZZ_SEED=%d", seed)
    mutator = Mutator(seed)
    await fuzz(process, mutator, WARM_UP)
    before = resident_kb(process.process.pid)
    await fuzz(process, mutator, count)
    assert process.process.returncode is None
    assert resident_kb(process.process.pid) - before < GROWTH_KB
