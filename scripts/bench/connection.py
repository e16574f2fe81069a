"""A keep-alive HTTP/1.1 connection that costs the generator as little as possible.

A general client costs more per request than the servers that are measured here, and would hide their differences.
"""

import asyncio
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from httptools import HttpResponseParser


@dataclass(frozen=True)
class Call:
    """A request as bytes, made once and sent many times."""

    host: str
    port: int
    raw: bytes

    @classmethod
    def build(cls, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> "Call":
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        fields = {"Host": parts.netloc, "Content-Length": str(len(body)), **(headers or {})}
        if body:
            fields["Content-Type"] = "application/json"
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return cls(parts.hostname, parts.port, f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = HttpResponseParser(self)
        self._body: list[bytes] = []

    @classmethod
    async def open(cls, call: Call) -> "Connection":
        _, connection = await asyncio.get_running_loop().create_connection(cls, call.host, call.port)
        return connection

    async def send(self, call: Call) -> Answer:
        """Raises OSError if the connection breaks, or is closed already."""
        assert self._transport is not None
        if self._transport.is_closing():
            raise _closed()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(call.raw)
        return await self._waiting

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's does not derive from it.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or _closed())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        assert self._waiting is not None
        self._waiting.set_result(Answer(self._parser.get_status_code(), b"".join(self._body)))
        self._body.clear()


def _closed() -> OSError:
    return ConnectionResetError("closed by the server")
