"""An HTTP/1.1 client of one server, for requests that are sent often.

General ones took a fifth of the API's CPU for a search.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

from elastic_transport.client_utils import url_to_node_config
from httptools import HttpParserError, HttpResponseParser

from app.http.raw_response import JSON, content_length, encode_headers


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    body: bytes


class HttpConnection(asyncio.Protocol):
    """Kept after an answer; one request at a time."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._waiting: asyncio.Future[HttpResponse] | None = None
        """Also after who waited has gone: then the answer is still to come."""
        self._parser = HttpResponseParser(self)
        self._body: list[bytes] = []

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext | None = None) -> Self:
        """Raises OSError."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port, ssl=tls)
        return connection

    @property
    def is_free(self) -> bool:
        """Whether it can be sent another request."""
        return self._waiting is None and not self._transport.is_closing()

    async def send(self, request: bytes) -> HttpResponse:
        """Raises OSError if the connection breaks, or is closed already."""
        if self._transport.is_closing():
            raise _closed()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def end(self, error: OSError | None = None) -> None:
        """At once; who waits for an answer gets the error."""
        self._fail(error or _closed())
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's does not derive from it.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc if isinstance(exc, OSError) else _closed())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.end(ConnectionError("no HTTP"))

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            # Nobody asked for it: it might be taken for the answer to the next request.
            self.end()
            return
        answer = HttpResponse(self._parser.get_status_code(), b"".join(self._body))
        self._body.clear()
        if not self._parser.should_keep_alive():
            self._transport.close()
        if not waiting.done():
            waiting.set_result(answer)

    def _fail(self, error: OSError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def field_lines(fields: Mapping[str, str]) -> bytes:
    return encode_headers((name.encode(), value.encode()) for name, value in fields.items())


def request(method: str, target: str, fields: bytes, body: bytes) -> bytes:
    """`fields` are lines, all but that of the body's length."""
    length = encode_headers([content_length(len(body))])
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method.encode(), target.encode(), fields, length, body)


class HttpClient:
    def __init__(self, url: str, *, seconds: float, connections: int) -> None:
        """A request may take so many seconds, connecting included. User and password may stand in the URL."""
        server = url_to_node_config(url)
        self._host, self._port = server.host, server.port
        self._tls = ssl.create_default_context() if server.scheme == "https" else None
        self._path_prefix = server.path_prefix
        fields = {"host": urlsplit(url).netloc.rpartition("@")[2], "content-type": JSON, **server.headers}
        self._fields = field_lines(fields)
        self._seconds = seconds
        self._most = connections
        self._in_use = 0
        self._idle: list[HttpConnection] = []

    @property
    def is_full(self) -> bool:
        return self._in_use >= self._most

    async def post(self, target: str, body: bytes) -> HttpResponse:
        """Raises OSError, of which TimeoutError is one.

        Where a connection breaks, the request is sent once more, on a new one.
        """
        whole = request("POST", self._path_prefix + target, self._fields, body)
        due = asyncio.get_running_loop().time() + self._seconds
        self._in_use += 1
        try:
            connection = self._take_idle() or await self._open(due)
            try:
                return await self._ask(connection, whole, due)
            except TimeoutError:
                raise
            except OSError:
                return await self._ask(await self._open(due), whole, due)
        finally:
            self._in_use -= 1

    def close(self) -> None:
        """Once nobody waits for an answer any more."""
        while (connection := self._take_idle()) is not None:
            connection.end()

    def _take_idle(self) -> HttpConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_free:
                return connection
        return None

    async def _open(self, due: float) -> HttpConnection:
        async with asyncio.timeout_at(due):
            return await HttpConnection.open(self._host, self._port, self._tls)

    async def _ask(self, connection: HttpConnection, whole: bytes, due: float) -> HttpResponse:
        timer = asyncio.get_running_loop().call_at(due, connection.end, TimeoutError())
        try:
            return await connection.send(whole)
        finally:
            timer.cancel()
            if connection.is_free:
                self._idle.append(connection)
            else:
                connection.end()


def _closed() -> OSError:
    return ConnectionResetError("closed by the server")
