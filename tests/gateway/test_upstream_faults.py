"""What the gateway asks of processes that stall, or break while they have a request."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.gateway.conftest import ORIGIN
from tests.gateway.test_split import SEARCH, assert_error
from tests.support.eventually import eventually
from tests.support.gateway import Gateway, needs_nginx, of_all_roles, running_gateway

pytestmark = needs_nginx

SHORTER = (
    ("proxy_read_timeout 10s", "proxy_read_timeout 1s"),
    ("proxy_next_upstream_timeout 5s", "proxy_next_upstream_timeout 500ms"),
    ("proxy_read_timeout 2s", "proxy_read_timeout 1s"),
    ("proxy_next_upstream_timeout 2s", "proxy_next_upstream_timeout 1s"),
)
"""The gateway's timeouts, in the same order: those of what is public, and of the rest."""
BREAKING = "/api/v2/occurrences"
COPY = b'{"success":true,"data":[]}'
HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nCache-Control: {}\r\n"
    "Connection: close\r\n\r\n"
)


class Process:
    """A server in place of an API process, which counts its requests by path."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.responds = asyncio.Event()
        self.responds.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            self.requests[path.partition("?")[0]] += 1
            await self.responds.wait()
            if path != BREAKING:
                public = "public, s-maxage=3600" if path.startswith("/api/tags") else "private, no-store"
                writer.write(HEAD.format(len(COPY), public).encode() + COPY)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The gateway has given up.
        finally:
            writer.close()


@asynccontextmanager
async def listening(process: Process) -> AsyncIterator[int]:
    """Serve on a free port, and yield it."""
    server = await asyncio.start_server(process.serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        process.responds.set()
        server.close()


@asynccontextmanager
async def two_processes(*replaced: tuple[str, str]) -> AsyncIterator[tuple[Gateway, tuple[Process, Process]]]:
    processes = Process(), Process()
    async with (
        listening(processes[0]) as first,
        listening(processes[1]) as second,
        running_gateway(of_all_roles(first, second), *replaced) as gateway,
    ):
        yield gateway, processes


@pytest.mark.parametrize(("method", "path"), [("POST", SEARCH), ("GET", "/api/v2/schema-info"), ("GET", "/api/tags")])
async def test_request_that_a_process_stalls_on_is_not_done_again_elsewhere(method: str, path: str) -> None:
    async with two_processes(*SHORTER) as (gateway, processes), gateway.client(headers={"Origin": ORIGIN}) as client:
        for process in processes:
            process.responds.clear()
        assert_error(await client.request(method, path), 504, "timeout")
        assert sum(process.requests[path] for process in processes) == 1


async def test_copies_are_served_while_a_role_stalls() -> None:
    async with two_processes(*SHORTER) as (gateway, processes), gateway.client() as client:
        assert (await client.get("/api/tags")).content == COPY
        for process in processes:
            process.responds.clear()

        async def is_stale() -> bool:
            response = await client.get("/api/tags")
            assert (response.status_code, response.content) == (200, COPY)
            return response.headers.get("warning", "").startswith("110 ")

        await eventually(is_stale, within=30)


async def test_requests_that_break_on_every_process_leave_the_role_available() -> None:
    async with two_processes() as (gateway, processes), gateway.client(headers={"Origin": ORIGIN}) as client:
        for attempt in range(1, 5):
            assert_error(await client.get(BREAKING), 502, "unavailable")
            assert sum(process.requests[BREAKING] for process in processes) == 2 * attempt
        for _ in range(4):
            assert (await client.get("/api/v2/schema-info")).status_code == 200


async def test_query_makes_no_copy_of_what_has_no_parameters() -> None:
    long_lived = ("proxy_cache_valid 200 1s", "proxy_cache_valid 200 60s")
    async with two_processes(long_lived) as (gateway, processes), gateway.client() as client:
        for query in ("", "?a=1", "?a=2", "?"):
            assert (await client.get(f"/api/tags{query}")).content == COPY
        assert sum(process.requests["/api/tags"] for process in processes) == 1


@pytest.mark.parametrize("condition", ["If-Match", "If-Unmodified-Since"])
async def test_condition_that_the_api_ignores_is_not_judged_by_a_copy(condition: str) -> None:
    async with two_processes() as (gateway, _), gateway.client(headers={condition: '"other"'}) as client:
        for _attempt in range(2):
            response = await client.get("/api/tags")
            assert (response.status_code, response.content) == (200, COPY)
