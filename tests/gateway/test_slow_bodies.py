"""Clients that send a body slowly occupy connections of the gateway, of which an address has some, and no process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import psutil
import pytest

from core.configuration.settings import Settings
from tests.gateway.conftest import ORIGIN
from tests.gateway.test_split import SEARCH, assert_error
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.gateway import TLS, Gateway, needs_nginx, of_all_roles, running_gateway
from tests.support.processes import RunningProcess
from tests.support.raw_http import RawConnection, connect_raw

pytestmark = [needs_nginx, pytest.mark.slow, pytest.mark.usefixtures("trips")]

SLOW = "127.0.0.2"
"""Address of the clients that send slowly."""
MOST = 3
"""Connections of an address."""
LIMIT = "limit_conn connections"
FEW_CONNECTIONS = (f"{LIMIT} 100", f"{LIMIT} {MOST}")
ONE_CONNECTION = (f"{LIMIT} 100", f"{LIMIT} 1")
SHORT_PAUSE = ("client_body_timeout 10s", "client_body_timeout 1s")
SHORT_SHUTDOWN = ("worker_shutdown_timeout 330s", "worker_shutdown_timeout 1s")
HEAD = f"POST {SEARCH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"


@asynccontextmanager
async def unfinished_request(gateway: Gateway) -> AsyncIterator[RawConnection]:
    """Send a request without the last byte of its body."""
    async with connect_raw(gateway.url, tls=TLS, source=SLOW) as connection:
        await connection.send(HEAD.encode() + b"{" + b" " * 498)
        yield connection


def connections_of(process: RunningProcess) -> int:
    found = psutil.Process(process.process.pid).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == process.port for each in found)


async def is_limited(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/livez")).status_code == 429


async def test_slow_bodies_of_an_address_reach_no_process_and_keep_no_others_out(settings: Settings) -> None:
    async with (
        serve_process(settings, port=None) as process,
        running_gateway(of_all_roles(process.port), FEW_CONNECTIONS) as gateway,
        AsyncExitStack() as opened,
    ):
        slow = [await opened.enter_async_context(unfinished_request(gateway)) for _ in range(MOST)]
        async with gateway.client(source=SLOW, headers={"Origin": ORIGIN}) as client:
            await eventually(lambda: is_limited(client))
            assert_error(await client.get("/livez"), 429, "too_many_requests")
        await eventually(lambda: connections_of(process) == 0)
        async with gateway.client(source="127.0.0.3") as other:
            assert (await other.post(SEARCH, json={})).status_code == 200
        for connection in slow:
            await connection.send(b"}")
            assert (await connection.response_head()).startswith(b"HTTP/1.1 200 ")


async def test_pause_within_a_body_ends_the_connection() -> None:
    async with running_gateway(of_all_roles(1), SHORT_PAUSE) as gateway, unfinished_request(gateway) as connection:
        assert await connection.read_to_end() == b""


async def test_slow_body_does_not_keep_the_processes_of_an_old_configuration() -> None:
    async with (
        running_gateway(of_all_roles(1), SHORT_SHUTDOWN, ONE_CONNECTION) as gateway,
        unfinished_request(gateway) as connection,
    ):
        async with gateway.client(source=SLOW) as client:
            # nginx knows the request; an idle connection it would close at once.
            await eventually(lambda: is_limited(client))
        await gateway.reload_files()
        assert await connection.read_to_end() == b""
