"""An odd request over HTTP/2 is refused, or becomes one request to a process: of the same path, with nothing added."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import pytest

from app.http.raw_response import Header
from tests.gateway.conftest import UNLIMITED
from tests.gateway.odd_requests import BASES, ENCODED, FORMS, HEADERS, odd_request
from tests.security.desync import HIDDEN, HIDDEN_ID
from tests.support.gateway import CERTIFICATE, TLS, Gateway, needs_nginx, of_all_roles, running_gateway
from tests.support.raw_http import connect_raw
from tests.support.raw_http2 import request_http2

pytestmark = [needs_nginx, pytest.mark.slow]

PATH = b"/api/v2/occurrences"
"""Of which the gateway keeps no copies."""
ORDINARY: tuple[Header, ...] = ((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"x"), (b":path", PATH))
INJECTED = b" HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN
PIECES = (
    *(
        b"",
        b" ",
        b"\t",
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"#",
        b"?",
        b":",
        b"\\",
        b"%",
        b"%0d%0aX-Injected:%20a",
    ),
    *(
        b"\r\nX-Injected: a",
        b"\nX-Injected: a",
        INJECTED,
        INJECTED.replace(b"\r\n", b"\n"),
        INJECTED.replace(b"\n", b""),
    ),
)
FIELDS: tuple[Header, ...] = (
    *(
        (b"connection", b"close"),
        (b"connection", b"keep-alive, x-a"),
        (b"keep-alive", b"9"),
        (b"proxy-connection", b"a"),
    ),
    *((b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"identity"), (b"upgrade", b"h2c"), (b"te", b"gzip")),
    *((b"content-length", value) for value in (b"0", b"1", b"2", b"3", b"-1", b"+2", b"2, 2", b"0x2", b" 2", b"")),
    *((b"host", b"x"), (b"host", b"evil.example"), (b"expect", b"100-continue"), (b"X-Capitals", b"a"), (b"x_a", b"a")),
    *((b"content_length", b"9"), (b"transfer_encoding", b"chunked"), (b"content-length\t", b"9"), (b" x-a", b"a")),
    *((b":unknown", b"a"), (b":status", b"200"), (b":protocol", b"websocket"), (b":", b"a"), (b"", b"a")),
)
BODIES = (b"", b"{}", b"0\r\n\r\n" + HIDDEN, HIDDEN)
REQUEST = re.compile(rb"[A-Z]+ [!-~\x80-\xff]+ HTTP/1\.1\r\n(?:[A-Za-z0-9_-]+: ?[^\r\n\0]*\r\n)*\r\n")


class OddRequest(NamedTuple):
    name: str
    headers: tuple[Header, ...]
    body: bytes = b""


@dataclass
class Recorder:
    """A server in place of the API, which responds with the target of each request."""

    heads: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)\r\n", head)
                await reader.readexactly(int(length[1]) if length else 0)
                target = head.split(b" ")[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def with_piece(position: int, piece: bytes, field_: Header) -> Iterator[tuple[str, Header]]:
    """Yield a header with a piece before, in and after its name and its value."""
    for part, text in enumerate(field_):
        for at in (0, len(text) // 2, len(text)):
            changed = [*field_]
            changed[part] = text[:at] + piece + text[at:]
            yield f"{piece!r} at {at} of part {part} of header {position}", (changed[0], changed[1])


def odd_requests() -> list[OddRequest]:
    fields = (*ORDINARY, (b"x-a", b"value"))
    requests = [
        OddRequest(name, (*fields[:position], header, *fields[position + 1 :]))
        for position, piece in product(range(len(fields)), PIECES)
        for name, header in with_piece(position, piece, fields[position])
    ]
    for position, header in enumerate(ORDINARY):
        others = (*ORDINARY[:position], *ORDINARY[position + 1 :])
        requests += [
            OddRequest(f"without {header!r}", others),
            OddRequest(f"late {header!r}", (*others, (b"x-a", b"a"), header)),
            OddRequest(f"two of {header!r}", (*ORDINARY, header)),
            *(
                OddRequest(f"other {value!r}", (*others, (header[0], value)))
                for value in (b"*", b"CONNECT", b"http://a/b")
            ),
        ]
    for header, body, method in product(FIELDS, BODIES, (b"GET", b"POST")):
        fields = ((b":method", method), *ORDINARY[1:], header)
        requests.append(OddRequest(f"{method!r} with {header!r} and {len(body)} bytes", fields, body))
    return requests


@pytest.fixture
async def recorder() -> AsyncIterator[tuple[Gateway, Recorder]]:
    recorder = Recorder()
    server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0)
    async with running_gateway(of_all_roles(server.sockets[0].getsockname()[1]), *UNLIMITED) as gateway:
        yield gateway, recorder
    server.close()


def offering_http2() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    context.set_alpn_protocols(["h2"])
    return context


async def test_odd_request_becomes_one_request_at_most(recorder: tuple[Gateway, Recorder]) -> None:
    gateway, recorded = recorder
    tls, wrong, seen = offering_http2(), [], set()
    for request in odd_requests():
        recorded.heads.clear()
        reply = await request_http2(gateway.url, request.headers, request.body, tls)
        seen.add(reply.status)
        heads = b"".join(recorded.heads)
        if (
            len(recorded.heads) > 1
            or not all(REQUEST.fullmatch(head) for head in recorded.heads)
            or re.search(rb"(?im)^x-injected|^transfer-encoding", heads)
            or HIDDEN_ID in heads.partition(b"\r\n")[2]
            or (reply.status == 200) != bool(heads)
        ):
            wrong.append(f"{request.name}: {reply.status} {recorded.heads}")
    assert seen >= {200, 400}
    assert wrong == []


async def test_target_is_read_as_in_http_1(recorder: tuple[Gateway, Recorder]) -> None:
    gateway, recorded = recorder
    tls, different, compared = offering_http2(), [], 0
    for path, (form, template) in product(BASES, {**FORMS, **ENCODED}.items()):
        request = odd_request("GET", path, (form, template), ("none", HEADERS["none"]), "HTTP/1.1")
        async with connect_raw(gateway.url, tls=TLS) as connection:
            await connection.send(request.plain)
            await connection.read_to_end()
        expected = [head.split(b"\r\n")[0] for head in recorded.heads]
        recorded.heads.clear()
        target = request.plain.partition(b" ")[2].partition(b" HTTP/1.1\r\n")[0]
        await request_http2(gateway.url, (*ORDINARY[:3], (b":path", target)), b"", tls)
        found = [head.split(b"\r\n")[0] for head in recorded.heads]
        recorded.heads.clear()
        compared += found == expected != []
        if found and found != expected:
            different.append(f"{path}, {form}: {found} instead of {expected}")
    assert different == []
    assert compared > len(BASES) * len(FORMS) / 2
