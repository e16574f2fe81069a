"""HTTP requests that are ambiguous (smuggling), oversized, or slow."""

import json
import re

import httpx2
import pytest

from app.http.requests import MAX_BODY
from app.server.framing import MAX_HEAD
from tests.security.conftest import BODY_SECONDS
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.raw_http import connect_raw

HOST = b"Host: api.example.org\r\n"
POST = b"POST /api/v2/recommendations HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
LIVE = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")

SMUGGLED = {
    "length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + LIVE,
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + LIVE,
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + LIVE,
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + LIVE,
    "a list of lengths": POST + b"Content-Length: 2, 40\r\n\r\n{}" + LIVE,
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}" + LIVE,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n{}" + LIVE,
    "a hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}" + LIVE,
    "a length beyond all bounds": POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}" + LIVE,
    "a blank before the colon": POST + b"Content-Length : 2\r\n\r\n{}" + LIVE,
    "chunks that are not the last coding": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + LIVE,
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + LIVE,
    "a coding behind a control character": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + LIVE,
    "a chunk of a signed size": POST + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n" + LIVE,
    "a chunk longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n" + LIVE,
    "a folded header": POST + b"Content-Length: 2\r\nX-A: b\r\n Content-Length: 40\r\n\r\n{}" + LIVE,
    "a bare carriage return": POST + b"X-A: b\rContent-Length: 40\r\n\r\n" + LIVE,
    "a header without a name": POST + b": 5\r\n\r\n" + LIVE,
    "a NUL in a header": POST + b"X-A: a\0b\r\n\r\n" + LIVE,
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
}


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in STATUS.findall(data)]


@pytest.mark.parametrize("data", SMUGGLED.values(), ids=SMUGGLED.keys())
async def test_ambiguous_request_closes_the_connection(server: str, data: bytes) -> None:
    """The request smuggled in it is not served."""
    async with connect_raw(server) as connection:
        await connection.send(data)
        assert statuses(await connection.read_to_end()) == [400]


async def test_malformed_request_gets_an_error_body(server: str) -> None:
    async with connect_raw(server) as connection:
        await connection.send(b"HELLO\r\n\r\n")
        head, _, body = (await connection.read_to_end()).partition(b"\r\n\r\n")
    assert statuses(head) == [400]
    assert b"content-type: application/json" in head
    said = json.loads(body)
    assert (said["success"], said["code"]) == (False, "bad_request")
    assert said["error"]
    assert said["request_id"].encode() in head


async def test_pipelined_requests_are_served_in_order(server: str) -> None:
    """Without the ambiguity the requests above are accepted."""
    async with connect_raw(server) as connection:
        await connection.send(
            LIVE + POST + b"Content-Length: 2\r\n\r\n{}" + LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
        assert statuses(await connection.read_to_end()) == [200, 200, 200]


CACHED = b"GET /api/locations HTTP/%b\r\nHost: x\r\n%b\r\n"


async def test_cached_response_closes_the_connection_on_request(server: str) -> None:
    async def responses(*requests: bytes) -> list[tuple[bytes, bytes]]:
        async with connect_raw(server) as connection:
            await connection.send(b"".join(requests))
            said = await connection.read_to_end()
        heads, bodies = [], []
        while said:
            head, _, rest = said.partition(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
            heads.append(re.sub(rb"(x-request-id|date): [^\r]*", rb"\1", head))
            bodies.append(rest[:length])
            said = rest[length:]
        return list(zip(heads, bodies, strict=True))

    last = CACHED % (b"1.1", b"Connection: close\r\n")
    # The first response may not come from the cache.
    _, second, third = await responses(CACHED % (b"1.1", b""), CACHED % (b"1.1", b""), last)
    assert third == (second[0] + b"\r\nconnection: close", second[1])
    assert json.loads(second[1])["success"] is True
    assert await responses(CACHED % (b"1.0", b"")) == [third]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X-Long: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X-Endless: " + b"x" * (3 * MAX_HEAD),
        b"GET /livez HTTP/1.1\r\n" + HOST + b"A: b\r\n" * MAX_HEAD + b"\r\n",
        b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /livez?" + b"x" * (3 * MAX_HEAD),
    ],
    ids=["a long header", "an endless header", "many headers", "a long address", "an endless address"],
)
async def test_oversized_request_head_is_rejected(server: str, head: bytes) -> None:
    async with connect_raw(server) as connection:
        await connection.send(head)
        assert statuses(await connection.read_to_end()) == [400]


async def test_long_request_head_is_accepted(server: str) -> None:
    async with http_client(server) as client:
        assert (await client.get("/livez", headers={"X-Long": "x" * (MAX_HEAD - 1000)})).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 1000,
        POST + b"Content-Length: 1000\r\n\r\n" + b" " * 1000,
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 200,
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n" + b" " * 1000,
    ],
    ids=["a head", "a body", "chunks", "a body that nobody reads"],
)
async def test_slow_request_is_aborted(server: str, data: bytes) -> None:
    head, end, rest = data.rpartition(b"\r\n\r\n") if b"\r\n\r\n" in data else (b"", b"", data)
    async with connect_raw(server) as connection:
        await connection.send(head + end)
        assert await connection.trickle(rest, every=0.05) < 4 * BODY_SECONDS


async def test_client_that_does_not_read_is_disconnected(server: str) -> None:
    """Otherwise its requests and responses would occupy slots and memory without end."""
    request = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
    async with connect_raw(server, buffer=1024) as connection, http_client(server) as client:
        await connection.send(request * 500)
        await is_counted_as_slow(client, doing="taking")
        assert len(statuses(await connection.read_to_end())) < 500


async def is_counted_as_slow(client: httpx2.AsyncClient, *, doing: str) -> None:
    counted = f'smarttrip_http_slow_clients_total{{doing="{doing}"}} 1'

    async def counts_it() -> bool:
        return counted in (await client.get("/metrics")).text

    await eventually(counts_it, within=10)


async def test_oversized_body_is_not_read_to_its_end(server: str) -> None:
    """The announced length does not matter."""
    async with connect_raw(server) as connection:
        await connection.send(POST + b"Content-Length: 1000000000\r\n\r\n" + b" " * (MAX_BODY + 1))
        assert statuses(await connection.response_head()) == [413]
