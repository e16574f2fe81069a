"""The connection on which a database is probed, through networks and servers that are slow, broken or full."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import make_url

from app.backends.probe_connection import ProbeConnection
from core import clients
from core.configuration.settings import Settings
from tests.support.fault_proxy import FaultProxy, Mode


@pytest.fixture
async def way(settings: Settings) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(settings.database_url, delay=0.1) as proxy:
        yield proxy


@pytest.fixture
async def probed(way: FaultProxy) -> AsyncIterator[ProbeConnection]:
    connection = ProbeConnection(clients.postgres(way.url).sync_engine.pool.recreate())
    yield connection
    connection.close()


async def test_kept_connection_responds_where_a_new_one_takes_long(probed: ProbeConnection, way: FaultProxy) -> None:
    await probed.ask()
    kept = probed._kept
    await way.switch(Mode.SLOW)
    for _ in range(3):
        await probed.ask()
    assert probed._kept is kept


@pytest.mark.parametrize("fault", ["packets dropped", "closed"])
async def test_new_connection_responds_where_the_kept_one_is_lost(
    probed: ProbeConnection, way: FaultProxy, fault: str
) -> None:
    await probed.ask()
    lost = probed._kept
    if fault == "packets dropped":
        way.drop_packets()
    else:
        await way.switch(Mode.RESET)
        await way.switch(Mode.PASS)
    await probed.ask()
    assert probed._kept not in (lost, None)
    assert probed._opened == {probed._kept}


async def test_refused_log_in_is_a_response(settings: Settings) -> None:
    url = make_url(settings.database_url).set(username="locked_out").render_as_string(hide_password=False)
    connection = ProbeConnection(clients.postgres(url).sync_engine.pool.recreate())
    await connection.ask()


async def test_server_that_is_gone_does_not_respond(probed: ProbeConnection, way: FaultProxy) -> None:
    await probed.ask()
    await way.switch(Mode.CUT)
    with pytest.raises(ConnectionError):
        await probed.ask()
    assert not probed._opened
