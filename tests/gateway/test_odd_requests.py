"""An odd request gets the same response through the gateway as directly, or is rejected: never two, never another's."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from core.configuration.settings import Settings
from tests.gateway.conftest import UNLIMITED
from tests.gateway.odd_headers import header_names
from tests.gateway.odd_requests import BASES, HEADERS, OddRequest, odd_request, odd_requests
from tests.security.desync import HIDDEN_ID, REQUESTS
from tests.security.test_desync import request_ids
from tests.support.api.serve_process import serve_process
from tests.support.gateway import TLS, Gateway, needs_nginx, of_all_roles, running_gateway
from tests.support.raw_http import connect_raw

pytestmark = [needs_nginx, pytest.mark.slow]

REFUSALS = {400, 404, 405, 408, 413, 501, 505}
AT_ONCE = 8
"""Below the number of requests that the API accepts however late its event loop is."""


class Exchange(NamedTuple):
    status: int
    body: bytes


@pytest.fixture(scope="module")
async def direct(settings: Settings, trips: None) -> AsyncIterator[str]:
    async with serve_process(settings, TRUSTED_PROXIES="127.0.0.1", BODY_SECONDS="1") as process:
        yield process.url


@pytest.fixture(scope="module")
async def gateway(direct: str) -> AsyncIterator[Gateway]:
    async with running_gateway(of_all_roles(int(direct.rpartition(":")[2])), *UNLIMITED) as running:
        yield running


async def exchange(url: str, request: OddRequest) -> Exchange:
    """Return the only response to a request; a connection that is closed without one is a refusal."""
    async with connect_raw(url, tls=TLS if url.startswith("https") else None) as connection:
        await connection.send(request.content)
        if "upgrade" in request.name:
            await connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = await connection.read_to_end()
    if not received:
        return Exchange(400, b"")
    first, _, rest = received.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3})", first)
    assert found, (request.name, received)
    length = re.search(rb"content-length: (\d+)", first, re.IGNORECASE)
    body = rest[: int(length[1])] if length and not request.name.startswith("HEAD") else rest
    following = len(re.findall(rb"HTTP/1\.1 \d{3} ", rest[len(body) :]))
    assert following <= ("upgrade" in request.name), (request.name, received)
    return Exchange(int(found[1]), b"" if "/metrics" in request.name or request.name.startswith("HEAD") else body)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_odd_request_is_answered_as_directly_or_refused(direct: str, gateway: Gateway, method: str) -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    served: list[str] = []

    async def compare(request: OddRequest) -> str | None:
        async with gate:
            passed, expected = await asyncio.gather(exchange(gateway.url, request), exchange(direct, request))
        if expected.status in (400, 505) and passed.status not in REFUSALS:
            # nginx understands it, and passes it on as a plain request.
            expected = await exchange(direct, request._replace(content=request.plain))
        if passed.status < 400:
            served.append(request.name)
        is_same = passed == expected or (passed.status == expected.status >= 400)
        return None if is_same or passed.status in REFUSALS else f"{request.name}: {passed} instead of {expected}"

    differences = [found for found in await asyncio.gather(*map(compare, odd_requests(method))) if found]
    assert differences == []
    # Without an origin, OPTIONS is a method that no path has.
    assert bool(served) == (method in ("GET", "HEAD"))


async def test_odd_requests_leave_nothing_in_the_cache(direct: str, gateway: Gateway) -> None:
    ordinary = [request for request in odd_requests("GET") if request.name.endswith("as it is, none, HTTP/1.1")]
    for request in odd_requests("GET"):
        if "/api/tags" in request.name:
            await exchange(gateway.url, request)
            for other in ordinary:
                if "/api/tags" in other.name:
                    assert await exchange(gateway.url, other) == await exchange(direct, other), request.name


def without_id(body: bytes) -> bytes:
    return re.sub(rb'"request_id":"[^"]+"', b"", body)


@pytest.mark.parametrize("path", BASES)
async def test_request_without_version_gets_the_same_body(direct: str, gateway: Gateway, path: str) -> None:
    """The response of HTTP/0.9 has no head."""
    async with connect_raw(gateway.url, tls=TLS) as connection:
        await connection.send(f"GET {path}\r\n".encode())
        body = await connection.read_to_end()
    ordinary = await exchange(direct, odd_request("GET", path, ("", "{path}"), ("none", HEADERS["none"]), "HTTP/1.1"))
    assert without_id(body) == without_id(ordinary.body) or path == "/metrics"


async def exchange_and_follow(url: str, path: str, header: str) -> Exchange:
    """Return the response to a request with an empty header, and send another one unless the connection is closed."""
    host = b"" if header == "host" else b"Host: x\r\n"
    async with connect_raw(url, tls=TLS if url.startswith("https") else None) as connection:
        await connection.send(b"GET %b HTTP/1.1\r\n%b%b:\r\n\r\n" % (path.encode(), host, header.encode()))
        head, body = await connection.response()
        if not re.search(rb"^connection: close\r$", head, re.IGNORECASE | re.MULTILINE):
            await connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            following, _ = await connection.response()
            assert following.startswith(b"HTTP/1.1 200 "), (path, header, following)
    return Exchange(int(head.split()[1]), without_id(body))


@pytest.mark.parametrize("path", ["/api/tags", "/api/v2/occurrences"])
async def test_header_without_value_is_answered_as_directly_or_refused(
    direct: str, gateway: Gateway, path: str
) -> None:
    """One of the paths has a copy at the gateway."""
    gate = asyncio.Semaphore(AT_ONCE)
    ordinary = await exchange_and_follow(direct, path, "x-unknown")

    async def check(header: str) -> None:
        async with gate:
            # Before the other one, so that the gateway has a copy.
            assert await exchange_and_follow(gateway.url, path, "x-unknown") == ordinary
            passed, expected = [await exchange_and_follow(url, path, header) for url in (gateway.url, direct)]
        for found in (passed, expected):
            is_refusal = found.status in REFUSALS and b'"success":false' in found.body
            assert found == ordinary or is_refusal, (header, found)

    await asyncio.gather(*map(check, header_names()))
    assert ordinary.status == 200


async def test_no_body_is_served_as_request(gateway: Gateway) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def check(name: str, packets: tuple[bytes, ...]) -> None:
        async with gate, connect_raw(gateway.url, tls=TLS) as connection:
            for packet in packets:
                await connection.send(packet)
            ids = request_ids(await connection.read_to_end())
        assert HIDDEN_ID not in ids, name
        assert len(ids) <= 2, name

    await asyncio.gather(*(check(request.name, request.packets[0]) for request in REQUESTS))
