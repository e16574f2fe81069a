"""How long a server takes to answer a probe, compared with a server beside it that does nothing else.

On a machine that is late itself, the other server is late as well: what was measured meanwhile says nothing.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.processes import responds, running_process
from tests.support.raw_http import RawConnection, connect_raw

PROBE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
EVERY_SECONDS = 0.02
WINDOW = 250
"""Probes of a window, five seconds: its 99th percentile is the third of them from above."""
MACHINE_SECONDS = 0.02
"""Percentile of the other server from which the machine is late."""

BARE_SERVER = """
import asyncio, sys
RESPONSE = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
class Bare(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(RESPONSE)
async def main():
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(int(share * len(times)), len(times) - 1)]


@dataclass
class ProbeTimes:
    """Seconds of each probe of the server and of the bare one beside it."""

    server: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def on_time(self) -> list[float]:
        """Return the server's times of the windows in which the machine was on time."""
        starts = range(0, len(self.server) - WINDOW + 1, WINDOW)
        windows = [slice(start, start + WINDOW) for start in starts]
        kept = [window for window in windows if percentile(self.bare[window], 0.99) < MACHINE_SECONDS]
        return [seconds for window in kept for seconds in self.server[window]]

    def summary(self) -> str:
        """Return median, 99th percentile and maximum of both in milliseconds."""
        return ", ".join(
            f"{name}: {' / '.join(f'{1000 * percentile(times, share):.1f}' for share in (0.5, 0.99, 1))} ms"
            for name, times in (("server", self.server), ("bare server", self.bare))
        )


@asynccontextmanager
async def probing(url: str) -> AsyncIterator[ProbeTimes]:
    """Probe the server and a bare one for the length of the block."""
    port, times = free_port(), ProbeTimes()
    bare = f"http://127.0.0.1:{port}"
    async with running_process((sys.executable, "-c", BARE_SERVER, str(port)), {}, port=port):
        await eventually(lambda: responds(bare), within=30)
        async with connect_raw(url) as server, connect_raw(bare) as other, asyncio.TaskGroup() as tasks:
            probing = tasks.create_task(_probe(server, other, times))
            yield times
            probing.cancel()


async def _probe(server: RawConnection, bare: RawConnection, times: ProbeTimes) -> None:
    while True:
        seconds = await asyncio.gather(_response_seconds(server), _response_seconds(bare))
        times.server.append(seconds[0])
        times.bare.append(seconds[1])
        await asyncio.sleep(EVERY_SECONDS)


async def _response_seconds(connection: RawConnection) -> float:
    began = asyncio.get_running_loop().time()
    await connection.send(PROBE)
    assert (await connection.read_some()).startswith(b"HTTP/1.1 200 ")
    return asyncio.get_running_loop().time() - began
