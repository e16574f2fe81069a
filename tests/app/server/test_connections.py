"""The limit on open connections: the longest idle one makes room, and slow clients keep nobody out."""

import asyncio
import json
import re
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from app.server.connections import MAX_CONNECTIONS, ConnectionLimit, connection_limit
from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import SMARTTRIP, RunningProcess, environment, responds, running_process
from tests.support.raw_http import connect_raw

OPEN_FILES = 400
LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
UNFINISHED = (
    b"POST /api/v2/recommendations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\nConnection: close\r\n\r\n"
)
"""A request whose body has not arrived."""


class Idle:
    def __init__(self) -> None:
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


def test_longest_idle_connection_is_closed_first() -> None:
    limit, connections = ConnectionLimit(3), [Idle() for _ in range(5)]
    for count, connection in enumerate(connections[:3], start=1):
        limit.set_idle(connection)
        limit.make_room(count)
    limit.set_busy(connections[0])
    limit.set_busy(connections[1])
    limit.set_idle(connections[1])
    for connection in connections[3:]:
        limit.set_idle(connection)
        limit.make_room(4)
    assert [connection.is_aborted for connection in connections] == [False, True, True, False, False]


def test_new_connection_is_closed_if_all_are_busy() -> None:
    limit, new = ConnectionLimit(1), Idle()
    limit.set_idle(new)
    limit.make_room(2)
    assert new.is_aborted


@pytest.mark.parametrize("soft", [64, 256, 1024, 65_536, 1_000_000, resource.RLIM_INFINITY])
def test_limit_leaves_room_for_own_sockets(settings: Settings, monkeypatch: pytest.MonkeyPatch, soft: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    limit = connection_limit(settings)
    assert 0 < limit <= MAX_CONNECTIONS
    if soft >= 1024:
        pools = settings.postgres_connections + settings.redis_connections + 2 * settings.elasticsearch_connections
        assert soft == resource.RLIM_INFINITY or limit + pools < soft


def test_some_connections_stay_idle() -> None:
    limit, connections = ConnectionLimit(8), [Idle() for _ in range(8)]
    for connection in connections:
        limit.set_idle(connection)
    served = 0
    while limit.can_serve(connections[served], 8):
        limit.set_busy(connections[served])
        served += 1
    assert served == 6
    assert limit.can_serve(connections[0], 8)


@asynccontextmanager
async def limited_server(settings: Settings) -> AsyncIterator[RunningProcess]:
    """Run the API with `OPEN_FILES` at most, and the soft limit far below."""
    port = free_port()
    code = (
        "import os, resource, sys; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (64, {OPEN_FILES})); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = (sys.executable, "-c", code, SMARTTRIP, "serve", "--port", str(port))
    env = environment(settings, BODY_SECONDS="60")
    async with running_process(command, env, port=port) as server:
        await server.wait_until_responding()
        yield server


@pytest.mark.usefixtures("engine")
async def test_idle_connections_do_not_keep_others_out(settings: Settings) -> None:
    """More idle connections than the process may open files, some with the beginning of a request."""
    async with limited_server(settings) as server, AsyncExitStack() as opened:
        for number in range(OPEN_FILES + 100):
            connection = await opened.enter_async_context(connect_raw(server.url))
            await connection.send(LIVE[: number % 20])
        async with http_client(server.url) as client:
            for path in ("/livez", "/api/locations", "/api/health"):
                assert (await client.get(path)).status_code == 200
            closed = (await client.get("/metrics")).text.partition("\nsmarttrip_http_idle_connections_closed_total ")[2]
            assert float(closed.split()[0]) > 100


@pytest.mark.slow
@pytest.mark.usefixtures("engine")
async def test_busy_connections_leave_a_response_for_others(settings: Settings) -> None:
    """More unfinished requests than the process may open files: those beyond the limit get a 503, none is reset."""
    async with limited_server(settings) as server, AsyncExitStack() as opened:
        refused = 0
        for _ in range(OPEN_FILES + 100):
            connection = await opened.enter_async_context(connect_raw(server.url))
            await connection.send(UNFINISHED)
            refused += await is_refused(server.url)
            assert len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) < OPEN_FILES - 100
        assert refused > OPEN_FILES // 2
        async with http_client(server.url) as client:
            assert (await client.get("/livez")).status_code == 200
        await opened.aclose()
        await eventually(lambda: responds(f"{server.url}/api/locations"))


@pytest.mark.usefixtures("engine")
async def test_slow_bodies_do_not_keep_others_out(settings: Settings) -> None:
    """More requests whose bodies do not arrive than may be in flight at once."""
    in_flight = 40
    async with serve_process(settings, MAX_REQUESTS_IN_FLIGHT=str(in_flight)) as server, AsyncExitStack() as opened:
        for _ in range(2 * in_flight):
            connection = await opened.enter_async_context(connect_raw(server.url))
            await connection.send(UNFINISHED)
            async with http_client(server.url) as client:
                assert (await client.get("/api/locations")).status_code == 200


async def is_refused(url: str) -> bool:
    """Send a request with a body in packets of its own; return whether there was no connection for it."""
    async with connect_raw(url) as connection:
        await connection.send(UNFINISHED)
        await asyncio.sleep(0)
        await connection.send(b"{}" + b" " * 998)
        head, _, body = (await connection.read_to_end()).partition(b"\r\n\r\n")
    if b" 200 " in head.partition(b"\r\n")[0]:
        return False
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nconnection: close" in head
    assert re.search(rb"\r\nretry-after: [1-9]", head)
    error = json.loads(body)
    assert (error["success"], error["code"]) == (False, "overloaded")
    assert error["request_id"].encode() in head
    return True
