"""A TCP proxy that injects network faults; a test switches its mode."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

CHUNK = 65536
RESET_WHEN_CLOSED = struct.pack("ii", 1, 0)


class Mode(StrEnum):
    PASS = "pass"
    CUT = "cut"
    """Connections are closed, new ones are refused."""
    STALL = "stall"
    """Connections are accepted, but no data is forwarded before the mode changes."""
    MUTE = "mute"
    """Requests are forwarded, but no response before the mode changes."""
    SLOW = "slow"
    """Each chunk is delayed by `delay` seconds."""
    RESET = "reset"
    """Connections, new ones included, are closed with a RST."""
    HALF_CLOSE = "half_close"
    """The client receives a FIN, but its data is still forwarded."""


@dataclass(eq=False)
class Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    sent: bytearray = field(default_factory=bytearray)
    """Bytes that the client sent, whether or not they were forwarded."""
    received: int = 0
    """Number of bytes that were forwarded to the client."""
    pumps: list[asyncio.Task[None]] = field(default_factory=list)
    """Tasks that forward to the server and to the client."""
    dropping: bool = False

    def end(self, *, reset: bool = False) -> None:
        if reset and not self.client.is_closing():
            self.client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_WHEN_CLOSED)
        for end in (self.client, self.server):
            end.transport.abort()


class FaultProxy:
    """`async with FaultProxy(server_url) as proxy`: clients use `proxy.url` instead of the server's."""

    def __init__(self, server_url: str, *, delay: float = 0.2) -> None:
        self._server = urlsplit(server_url)
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._upwards, self._downwards = asyncio.Event(), asyncio.Event()
        self.delay = delay
        self.mode = Mode.PASS
        self.connections: list[Connection] = []
        """All connections since the start, closed ones included."""

    async def __aenter__(self) -> Self:
        await self.switch(Mode.PASS)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.switch(Mode.CUT)

    @property
    def url(self) -> str:
        user, at, _ = self._server.netloc.rpartition("@")
        return self._server._replace(netloc=f"{user}{at}127.0.0.1:{self._port}").geturl()

    def redirect(self, server_url: str) -> None:
        """Forward new connections to another server."""
        self._server = urlsplit(server_url)

    async def switch(self, mode: Mode) -> None:
        self.mode = mode
        (self._upwards.clear if mode is Mode.STALL else self._upwards.set)()
        (self._downwards.clear if mode in (Mode.STALL, Mode.MUTE) else self._downwards.set)()
        if mode is Mode.CUT and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif mode is not Mode.CUT and self._listener is None:
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._listener.sockets[0].getsockname()[1]
        for connection in self.connections:
            self._apply_mode(connection)

    def drop_packets(self) -> None:
        """Stop forwarding on open connections without closing them, as a firewall does that has lost its state."""
        for connection in self.connections:
            connection.dropping = True
            for pump in connection.pumps:
                pump.cancel()

    def _apply_mode(self, connection: Connection) -> None:
        if self.mode in (Mode.CUT, Mode.RESET):
            connection.end(reset=self.mode is Mode.RESET)
        elif self.mode is Mode.HALF_CLOSE and not connection.client.is_closing():
            connection.pumps[1].cancel()
            connection.client.write_eof()

    async def _serve(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            from_server, server = await asyncio.open_connection(self._server.hostname, self._server.port)
        except OSError:
            client.transport.abort()
            return
        connection = Connection(client, server)
        pumps = self._pump(from_client, server, connection), self._pump(from_server, client, connection)
        connection.pumps += [asyncio.create_task(pump) for pump in pumps]
        self.connections.append(connection)
        self._apply_mode(connection)
        await asyncio.wait(connection.pumps)
        if not connection.dropping:
            connection.end()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, connection: Connection) -> None:
        upwards = sink is connection.server
        with contextlib.suppress(OSError):
            while chunk := await source.read(CHUNK):
                if upwards:
                    connection.sent += chunk
                await (self._upwards if upwards else self._downwards).wait()
                if self.mode is Mode.SLOW:
                    await asyncio.sleep(self.delay)
                sink.write(chunk)
                await sink.drain()
                connection.received += 0 if upwards else len(chunk)
            sink.write_eof()
