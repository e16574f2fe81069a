import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import psutil
import pytest

from app.server.sockets import PortInUse, acquire_port_lock
from core.configuration.settings import Settings
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.processes import RunningProcess

CONNECTIONS = 64


async def test_connections_spread_over_worker_processes(settings: Settings) -> None:
    async with serve_process(settings, WORKERS="2") as serving, AsyncExitStack() as opened:

        async def both_workers_listen() -> bool:
            return [*_sockets(serving, psutil.CONN_LISTEN)].count(1) == 2

        await eventually(both_workers_listen)
        for _ in range(CONNECTIONS):
            _, writer = await asyncio.open_connection("127.0.0.1", serving.port)
            opened.callback(writer.close)

        async def all_are_accepted() -> bool:
            return sum(_sockets(serving, psutil.CONN_ESTABLISHED)) == CONNECTIONS

        await eventually(all_are_accepted)
        # By chance the spread is more uneven than this less than once in ten million times.
        assert sum(accepted > CONNECTIONS / 8 for accepted in _sockets(serving, psutil.CONN_ESTABLISHED)) == 2


@pytest.mark.slow
async def test_second_server_on_the_port_exits(settings: Settings) -> None:
    async with (
        serve_process(settings, WORKERS="2") as first,
        serve_process(settings, port=first.port, WORKERS="2") as second,
    ):
        assert await asyncio.wait_for(second.process.wait(), 30) != 0


def test_port_lock_is_exclusive(unused_tcp_port: int) -> None:
    with acquire_port_lock("127.0.0.1", unused_tcp_port):
        with pytest.raises(PortInUse):
            acquire_port_lock("127.0.0.1", unused_tcp_port)
        acquire_port_lock("127.0.0.1", unused_tcp_port + 1).close()
    acquire_port_lock("127.0.0.1", unused_tcp_port).close()


def _sockets(serving: RunningProcess, status: str) -> Sequence[int]:
    """Return the number of sockets on the server's port, by process."""
    return [
        sum(
            connection.status == status and bool(connection.laddr) and connection.laddr.port == serving.port
            for connection in process.net_connections(kind="tcp")
        )
        for process in psutil.Process(serving.process.pid).children(recursive=True)
    ]
