"""Send any headers over HTTP/2, also those that no client may send."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from ssl import SSLContext
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from app.http.raw_response import Header

TIMEOUT = 10
REFUSED = 400
"""Status of a reply that has none: the stream was reset, or the connection was closed."""


@dataclass
class Reply:
    status: int = REFUSED
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


async def request_http2(url: str, headers: Iterable[Header], body: bytes, tls: SSLContext) -> Reply:
    """Send one request on a connection of its own, unchecked, and return the reply. `tls` has to offer HTTP/2."""
    server = urlsplit(url)
    reader, writer = await asyncio.open_connection(server.hostname, server.port, ssl=tls)
    try:
        async with asyncio.timeout(TIMEOUT):
            return await _exchange(reader, writer, headers, body)
    finally:
        writer.transport.abort()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: Iterable[Header], body: bytes
) -> Reply:
    config = H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
    )
    connection, reply = H2Connection(config), Reply()
    connection.initiate_connection()
    connection.send_headers(1, list(headers), end_stream=not body)
    if body:
        connection.send_data(1, body, end_stream=True)
    while True:
        writer.write(connection.data_to_send())
        try:
            received = await reader.read(65536)
            events = connection.receive_data(received)
        except (ConnectionError, ProtocolError):
            return reply
        for event in events:
            match event:
                case ResponseReceived():
                    reply.headers = {bytes(name): bytes(value) for name, value in event.headers}
                    reply.status = int(reply.headers[b":status"])
                case DataReceived():
                    reply.body += event.data
                case StreamEnded() | StreamReset() | ConnectionTerminated():
                    return reply
        if not received:
            return reply
