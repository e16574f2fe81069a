"""The limit on open connections."""

import resource
import sys
from contextlib import AsyncExitStack

import pytest

from app.server.connections import MAX_CONNECTIONS, ConnectionLimit, connection_limit
from core.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import SMARTTRIP, environment, responds, running_process
from tests.support.raw_http import connect_raw

OPEN_FILES = 400
LIVE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


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


@pytest.mark.usefixtures("engine")
async def test_idle_connections_do_not_keep_others_out(settings: Settings) -> None:
    """More idle connections than the process may open files, some with the beginning of a request."""
    port = free_port()
    code = (
        "import os, resource, sys; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (64, {OPEN_FILES})); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = (sys.executable, "-c", code, SMARTTRIP, "serve", "--port", str(port))
    async with running_process(command, environment(settings), port=port) as server, AsyncExitStack() as opened:
        await eventually(lambda: responds(f"{server.url}/livez"), within=60)
        for number in range(OPEN_FILES + 100):
            connection = await opened.enter_async_context(connect_raw(server.url))
            await connection.send(LIVE[: number % 20])
        async with http_client(server.url) as client:
            for path in ("/livez", "/api/locations", "/api/health"):
                assert (await client.get(path)).status_code == 200
            closed = (await client.get("/metrics")).text.partition("\nsmarttrip_http_idle_connections_closed_total ")[2]
            assert float(closed.split()[0]) > 100
