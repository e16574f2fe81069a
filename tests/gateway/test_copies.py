"""Whoever asks for public data first, and how oddly: later clients get the API's response, from the copy as without."""

import shutil
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from tests.gateway.conftest import ORIGIN, UNLIMITED
from tests.gateway.odd_headers import QUERIES, Headers, header_sets
from tests.support.api.serve_process import serve_process
from tests.support.factories import CatalogueFactory
from tests.support.gateway import Gateway, needs_nginx, of_all_roles, running_gateway
from tests.support.http_client import http_client

pytestmark = [needs_nginx, pytest.mark.slow]

LONG_LIVED = ("proxy_cache_valid 200 1s", "proxy_cache_valid 200 600s")
"""Copies that outlast the requests between two deletions of all."""
PATHS = ("/api/tags", "/api/countries")
"""One without parameters, and one with a parameter."""
ROWS = 30
"""So many that lists are worth compressing."""
CLIENTS: tuple[Headers, ...] = tuple(
    tuple((name, value) for name, value in zip(("accept-encoding", "origin"), values, strict=True) if value)
    for values in product(("", "gzip"), ("", ORIGIN))
)
"""What ordinary clients send of the headers on which copies depend."""
OF_SERVER = {"date", "server", "connection", "strict-transport-security", "keep-alive", "transfer-encoding"}
OPTIONAL = ("content-encoding", "access-control-allow-origin")
REFUSALS = {400, 405, 501}
METHODS = ("HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE", "get")


class Reply(NamedTuple):
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def has(self, name: str) -> bool:
        return any(name == own for own, _ in self.headers)


class OddRequest(NamedTuple):
    target: str
    headers: Headers = ()
    method: str = "GET"


async def send(client: httpx2.AsyncClient, request: OddRequest) -> Reply:
    """Send nothing that is not in the request."""
    odd = client.build_request(request.method, "/")
    odd.url = odd.url.copy_with(raw_path=request.target.encode())
    odd.headers = httpx2.Headers([("host", "localhost"), *request.headers])
    response = await client.send(odd, stream=True)
    body = b"".join([part async for part in response.aiter_raw()])
    await response.aclose()
    own = sorted((name, value) for name, value in response.headers.multi_items() if name not in OF_SERVER)
    return Reply(response.status_code, tuple(own), body)


def odd_requests(path: str) -> list[OddRequest]:
    return [
        *(OddRequest(path, headers) for headers in header_sets()),
        *(OddRequest(path + query, headers) for query, headers in product(QUERIES, CLIENTS)),
        *(OddRequest(path, method=method) for method in METHODS),
    ]


@pytest.fixture(scope="module")
async def direct(settings: Settings, trips: None, engine: AsyncEngine) -> AsyncIterator[str]:
    catalogue = CatalogueFactory(engine)
    for number in range(ROWS):
        await catalogue.tag(name=f"Another tag {number}")
        await catalogue.country(name=f"Another country {number}")
    async with serve_process(settings) as process:
        yield process.url


@pytest.fixture(scope="module")
async def gateway(direct: str) -> AsyncIterator[Gateway]:
    upstreams = of_all_roles(int(direct.rpartition(":")[2]))
    async with running_gateway(upstreams, *UNLIMITED, LONG_LIVED) as running:
        yield running


def delete_copies(gateway: Gateway) -> None:
    """Have nginx ask the API again."""
    for folder in Path(gateway.configuration.folder, "cache").iterdir():
        shutil.rmtree(folder)


async def alternatives(api: httpx2.AsyncClient, request: OddRequest, alone: Reply) -> list[Reply]:
    """Return what may be sent instead of the API's response: of two equal headers each may be the one that counts.

    What every client may have is the whole response in place of 304, and one without compression or CORS headers.
    """
    single = [await send(api, request._replace(headers=(header,))) for header in request.headers]
    ordinary = [await send(api, OddRequest(request.target, headers)) for headers in CLIENTS]
    if alone.status == 200:
        ordinary = [reply for reply in ordinary if all(alone.has(name) or not reply.has(name) for name in OPTIONAL)]
    return single if alone.status not in (200, 304) else [*single, *ordinary]


@pytest.mark.parametrize("path", PATHS)
async def test_no_request_changes_what_others_get(direct: str, gateway: Gateway, path: str) -> None:
    async with http_client(direct) as api, gateway.client() as through:
        expected = {headers: await send(api, OddRequest(path, headers)) for headers in CLIENTS}
        assert len(set(expected.values())) == len(CLIENTS)
        differences = []
        for request in odd_requests(path):
            delete_copies(gateway)
            passed, alone = await send(through, request), await send(api, request)
            is_refused = passed.status in REFUSALS or passed.status == alone.status >= 400
            if not is_refused and passed != alone and passed not in await alternatives(api, request, alone):
                differences.append(f"{request}: {passed} instead of {alone}")
            for client, reply in expected.items():
                if (after := await send(through, OddRequest(path, client))) != reply:
                    differences.append(f"{client} after {request}: {after} instead of {reply}")
        assert differences == []
