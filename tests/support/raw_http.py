"""HTTP byte by byte, as no proper client sends it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PATIENCE = 10


class RawConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def everything(self) -> bytes:
        """All that the server says until it ends the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def answer(self) -> bytes:
        """The head of the next answer."""
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def trickle(self, data: bytes, every: float) -> float:
        """Byte by byte until the server ends the connection; answers after how many seconds that was."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        ended = asyncio.ensure_future(self.everything())
        for number in range(len(data)):
            if (await asyncio.wait([ended], timeout=every))[0]:
                break
            self._writer.write(data[number : number + 1])
        await ended
        return loop.time() - began


@asynccontextmanager
async def connect_raw(url: str, *, buffer: int = 65536) -> AsyncIterator[RawConnection]:
    """`buffer` is how much is taken from the server before anybody reads it."""
    server = urlsplit(url)
    reader, writer = await asyncio.open_connection(server.hostname, server.port, limit=buffer)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()
