"""The port of plain HTTP, which only redirects, has the bounds and the errors of the other one."""

import json
import ssl
from collections.abc import AsyncIterator

import pytest

from app.server.framing import MAX_HEAD
from tests.support.gateway import TLS, Gateway, needs_nginx, of_all_roles, running_gateway
from tests.support.raw_http import connect_raw

pytestmark = needs_nginx

SHORT_HEAD = ("client_header_timeout 10s", "client_header_timeout 1s")
MALFORMED = {
    "host": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "method": b"G?T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "length": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    "coding": b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    "long target": b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * MAX_HEAD),
    "long header": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: %b\r\n\r\n" % (b"a" * MAX_HEAD),
    "greeting of TLS": b"\x16\x03\x01\x00\xf1\x01\x00\r\n\r\n",
}

Address = tuple[str, ssl.SSLContext | None]


@pytest.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with running_gateway(of_all_roles(1), SHORT_HEAD) as running:
        yield running


@pytest.fixture(params=["plain", "TLS"])
def address(gateway: Gateway, request: pytest.FixtureRequest) -> Address:
    is_plain = request.param == "plain"
    return (f"http://127.0.0.1:{gateway.configuration.plain_port}", None) if is_plain else (gateway.url, TLS)


@pytest.mark.parametrize("name", MALFORMED)
async def test_request_that_cannot_be_read_gets_an_error_of_the_contract(address: Address, name: str) -> None:
    async with connect_raw(address[0], tls=address[1]) as connection:
        await connection.send(MALFORMED[name])
        head, body = await connection.response()
    error = json.loads(body)
    assert int(head.split()[1]) in (400, 501, 505)
    assert (error["success"], error["code"]) == (False, "bad_request")
    assert f"X-Request-ID: {error['request_id']}\r\n".encode() in head


async def test_slow_head_ends_the_connection(address: Address) -> None:
    async with connect_raw(address[0], tls=address[1]) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert await connection.read_to_end() == b""
