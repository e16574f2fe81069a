"""An odd request gets the same response through the gateway as directly, or is rejected: never two, never another's."""

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import product
from typing import NamedTuple

import pytest

from core.configuration.settings import Settings
from tests.gateway.conftest import UNLIMITED
from tests.security.desync import HIDDEN_ID, REQUESTS
from tests.security.test_desync import request_ids
from tests.support.api.serve_process import serve_process
from tests.support.gateway import TLS, Gateway, needs_nginx, of_all_roles, running_gateway
from tests.support.raw_http import connect_raw

pytestmark = [needs_nginx, pytest.mark.slow]

REFUSALS = {400, 404, 405, 408, 413, 501, 505}
AT_ONCE = 8
"""Below the number of requests that the API accepts however late its event loop is."""
BASES = ("/api/tags", "/api/countries/1", "/api/v2/occurrences", "/api/admin/index", "/metrics", "/livez")
FORMS = {
    "as it is": "{path}",
    "double slash": "/{path}",
    "double slash within": "{folder}//{name}",
    "slash at the end": "{path}/",
    "dot": "{folder}/./{name}",
    "dots": "{folder}/x/../{name}",
    "dots from elsewhere": "/livez/..{path}",
    "encoded dots": "{folder}/x/%2e%2E/{name}",
    "encoded slash": "{folder}%2f{name}",
    "encoded slash at the start": "/%2f{path}",
    "encoded backslash": "{folder}/x%5c..%5c{name}",
    "encoded letter": "{folder}/%{code}{rest}",
    "twice encoded": "{folder}/%25{code}{rest}",
    "capitals": "{capitals}",
    "parameters": "{path};a=b",
    "encoded question mark": "{path}%3fa=b",
    "encoded NUL": "{path}%00",
    "encoded line feed": "{path}%0a",
    "encoded number sign": "{path}%23a",
    "number sign": "{path}#a",
    "query of slashes": "{path}?a=/../admin",
    "two question marks": "{path}??a=1",
    "blank": "{path} a",
    "absolute": "http://x{path}",
    "absolute of another host": "http://elsewhere.example{path}",
    "absolute with user": "http://a@b{path}",
    "no slash": "x{path}",
}
HEADERS = {
    "none": b"Host: x\r\n",
    "no host": b"",
    "two hosts": b"Host: x\r\nHost: y\r\n",
    "upgrade": b"Host: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n",
    "other path": b"Host: x\r\nX-Original-URL: /api/admin/index\r\nX-Rewrite-URL: /api/admin/index\r\n",
    "other host": b"Host: x\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: ftp\r\n",
    "other method": b"Host: x\r\nX-HTTP-Method-Override: DELETE\r\n",
    "body": b"Host: x\r\nContent-Length: 2\r\n\r\n{}",
    "chunks": b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "range": b"Host: x\r\nRange: bytes=0-3\r\n",
}


class Exchange(NamedTuple):
    status: int
    body: bytes


class OddRequest(NamedTuple):
    name: str
    content: bytes


def odd_requests(method: str) -> list[OddRequest]:
    requests = []
    for path, (form, template), (header, lines) in product(BASES, FORMS.items(), HEADERS.items()):
        folder, _, name = path.rpartition("/")
        target = template.format(
            path=path, folder=folder, name=name, capitals=path.upper(), code=f"{ord(name[0]):02x}", rest=name[1:]
        )
        common = b"Connection: close\r\nX-Request-ID: an-odd-request\r\n" if header != "upgrade" else b""
        end = b"" if b"\r\n\r\n" in lines else b"\r\n"
        head = f"{method} {target} HTTP/1.1\r\n".encode() + common
        requests.append(OddRequest(f"{method} {path}, {form}, {header}", head + lines + end))
    return requests


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
        if passed.status < 400:
            served.append(request.name)
        is_same = passed == expected or (passed.status == expected.status >= 400)
        return None if is_same or passed.status in REFUSALS else f"{request.name}: {passed} instead of {expected}"

    differences = [found for found in await asyncio.gather(*map(compare, odd_requests(method))) if found]
    assert differences == []
    # Without an origin, OPTIONS is a method that no path has.
    assert bool(served) == (method in ("GET", "HEAD"))


async def test_odd_requests_leave_nothing_in_the_cache(direct: str, gateway: Gateway) -> None:
    ordinary = [request for request in odd_requests("GET") if "as it is, none" in request.name]
    for request in odd_requests("GET"):
        if "/api/tags" in request.name:
            await exchange(gateway.url, request)
            for other in ordinary:
                if "/api/tags" in other.name:
                    assert await exchange(gateway.url, other) == await exchange(direct, other), request.name


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
