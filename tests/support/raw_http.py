"""Send raw bytes over a connection to an HTTP server."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext
from urllib.parse import urlsplit

TIMEOUT = 10


class RawConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def local_port(self) -> int:
        return int(self._writer.get_extra_info("sockname")[1])

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def read_to_end(self) -> bytes:
        """Read until the server closes the connection."""
        async with asyncio.timeout(TIMEOUT):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def read_some(self) -> bytes:
        """Wait for data and return what has been received; empty at the end of the connection."""
        return await self._reader.read(65536)

    async def response_head(self) -> bytes:
        """Read the head of the next response."""
        async with asyncio.timeout(TIMEOUT):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def response(self) -> tuple[bytes, bytes]:
        """Read the next response, which has a Content-Length; return its head and its body."""
        async with asyncio.timeout(TIMEOUT):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"^content-length: (\d+)\r$", head, re.IGNORECASE | re.MULTILINE)
            assert length, head
            return head, await self._reader.readexactly(int(length[1]))

    async def trickle(self, data: bytes, every: float) -> float:
        """Send a byte every `every` seconds until the server closes the connection; return the seconds that took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        ended = asyncio.ensure_future(self.read_to_end())
        for number in range(len(data)):
            if (await asyncio.wait([ended], timeout=every))[0]:
                break
            self._writer.write(data[number : number + 1])
        await ended
        return loop.time() - began


@asynccontextmanager
async def connect_raw(
    url: str, *, buffer: int = 65536, tls: SSLContext | None = None, source: str | None = None
) -> AsyncIterator[RawConnection]:
    """Open a connection from the address `source`; `buffer` bytes are received before anything reads them."""
    server = urlsplit(url)
    local = (source, 0) if source else None
    reader, writer = await asyncio.open_connection(
        server.hostname, server.port, limit=buffer, ssl=tls, local_addr=local
    )
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()
