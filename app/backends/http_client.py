"""Minimal HTTP/1.1 client of one server, for searches: general clients took a fifth of the CPU time of a search."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

import structlog
from elastic_transport.client_utils import url_to_node_config
from httptools import HttpParserError, HttpResponseParser

from app.http.raw_response import JSON, content_length, encode_headers
from core.concurrency.stall_detector import StallDetector

log = structlog.get_logger()

NO_FIELDS: Mapping[str, str] = {}

PATIENCE_SECONDS = 0.15
PROBE_SECONDS = 0.4
"""Seconds that the server has to respond to a probe, including connecting."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    body: bytes


class HttpConnection(asyncio.Protocol):
    """A keep-alive connection with one request at a time."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._pending: asyncio.Future[HttpResponse] | None = None
        """Response to the request that was sent, even if its caller was cancelled: the response may still arrive."""
        self._parser = HttpResponseParser(self)
        self._body: list[bytes] = []

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext | None = None) -> Self:
        """Connect. Raises: OSError."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port, ssl=tls)
        return connection

    @property
    def is_free(self) -> bool:
        """Whether the connection can take another request."""
        return self._pending is None and not self._transport.is_closing()

    async def send(self, request: bytes) -> HttpResponse:
        """Send a request and return its response. Raises: OSError, if the connection breaks or is closed already."""
        if self._transport.is_closing():
            raise _connection_closed()
        self._pending = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._pending

    def abort(self, error: OSError | None = None) -> None:
        """Close at once; a caller that waits for a response gets the error."""
        self._fail(error or _connection_closed())
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The transports of uvloop do not derive from asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc if isinstance(exc, OSError) else _connection_closed())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.abort(ConnectionError("the response is not HTTP"))

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            # Unsolicited: it could be taken for the response to the next request.
            self.abort()
            return
        response = HttpResponse(self._parser.get_status_code(), b"".join(self._body))
        self._body.clear()
        if not self._parser.should_keep_alive():
            self._transport.close()
        if not pending.done():
            pending.set_result(response)

    def _fail(self, error: OSError) -> None:
        # The error refers to the connection, by the frame that waits for the response.
        pending, self._pending = self._pending, None
        if pending is not None and not pending.done():
            pending.set_exception(error)


def encode_fields(fields: Mapping[str, str]) -> bytes:
    return encode_headers((name.encode(), value.encode()) for name, value in fields.items())


def request(method: str, target: str, fields: bytes, body: bytes) -> bytes:
    """Return the bytes of a request. `fields` are all header lines except Content-Length."""
    length = encode_headers([content_length(len(body))])
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method.encode(), target.encode(), fields, length, body)


class HttpClient:
    patience = PATIENCE_SECONDS
    """Seconds that a request waits before the server is probed."""

    def __init__(
        self, url: str, *, seconds: float, connections: int, api_key: str | None = None, ca_file: str | None = None
    ) -> None:
        """`seconds` is the timeout of a request, including connecting. The URL may contain user and password.

        `ca_file` has the certificates to trust, instead of the machine's.
        """
        self.server = url_to_node_config(url)
        self._tls = ssl.create_default_context(cafile=ca_file) if self.server.scheme == "https" else None
        self._path_prefix = self.server.path_prefix
        fields = {"host": urlsplit(url).netloc.rpartition("@")[2], "content-type": JSON, **self.server.headers}
        if api_key is not None:
            fields["authorization"] = f"ApiKey {api_key}"
        self._fields = encode_fields(fields)
        self._seconds = seconds
        self.max_connections = connections
        self._in_use = 0
        self._idle: list[HttpConnection] = []
        self._stalls = StallDetector(
            self._probe, self._report_stall, patience=self.patience, probe_seconds=PROBE_SECONDS
        )

    @property
    def is_full(self) -> bool:
        return self._in_use >= self.max_connections

    async def post(self, target: str, body: bytes, fields: Mapping[str, str] = NO_FIELDS) -> HttpResponse:
        """Send a POST request with further header fields; if the connection breaks, retry once on a new one.

        Raises: OSError, of which TimeoutError and ServerStalledError are subclasses.
        """
        all_fields = self._fields + encode_fields(fields) if fields else self._fields
        raw_request = request("POST", self._path_prefix + target, all_fields, body)
        self._in_use += 1
        try:
            async with self._stalls.watch(self._seconds):
                return await self._send_or_retry(raw_request)
        finally:
            self._in_use -= 1

    def close(self) -> None:
        """Close the idle connections. Callers must not be waiting any more."""
        self._stalls.cancel()
        while (connection := self._take_idle()) is not None:
            connection.abort()

    def _take_idle(self) -> HttpConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_free:
                return connection
        return None

    async def _send_or_retry(self, raw_request: bytes) -> HttpResponse:
        connection = self._take_idle() or await self._open()
        try:
            return await self._send(connection, raw_request)
        except OSError:
            return await self._send(await self._open(), raw_request)

    async def _open(self) -> HttpConnection:
        return await HttpConnection.open(self.server.host, self.server.port, self._tls)

    async def _send(self, connection: HttpConnection, raw_request: bytes) -> HttpResponse:
        try:
            return await connection.send(raw_request)
        finally:
            if connection.is_free:
                self._idle.append(connection)
            else:
                connection.abort()

    async def _probe(self) -> None:
        """Send the smallest request; the server responds, whatever the status. Raises: OSError."""
        connection = await self._open()
        try:
            await connection.send(request("GET", f"{self._path_prefix}/", self._fields, b""))
        finally:
            connection.abort()

    def _report_stall(self, waiting: int) -> None:
        log.warning("search_server_stalled", host=self.server.host, port=self.server.port, waiting=waiting)


def _connection_closed() -> OSError:
    return ConnectionResetError("closed by the server")
