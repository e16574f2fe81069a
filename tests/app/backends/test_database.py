"""Which server reads and writes go to. What is a replica here is a second way to the same server."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import literal, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.backends.circuit_breaker import CircuitState
from app.backends.database import Database
from app.backends.replica_pool import CHECK_VALID_SECONDS
from core import clients
from core.configuration.settings import Settings
from core.errors import BackendUnavailableError, DatabaseBlockedError
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import FaultProxy, Mode

Ways = tuple[FaultProxy, FaultProxy, FaultProxy]
"""To the primary and to two replicas."""


@pytest.fixture
async def ways(settings: Settings) -> AsyncIterator[Ways]:
    async with AsyncExitStack() as stack:
        one, two, three = [await stack.enter_async_context(FaultProxy(settings.database_url)) for _ in range(3)]
        yield one, two, three


@pytest.fixture
async def replicated(ways: Ways) -> AsyncIterator[Database]:
    primary, *replicas = (clients.postgres(way.url, connect_timeout=0.5) for way in ways)
    database = Database(primary, replicas)
    await eventually(lambda: len(usable(database)) == 2)
    yield database
    await database.close()


def usable(database: Database) -> set[AsyncEngine | None]:
    return {database._replicas.pick() for _ in range(4)} - {None}


Use = Callable[[Database], Awaitable[None]]


async def read_in_session(database: Database) -> None:
    async with database.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def read_by_driver(database: Database) -> None:
    assert [*map(tuple, await database.fetch(select(literal(1))))] == [(1,)]


@pytest.fixture(params=[read_in_session, read_by_driver])
def read(request: pytest.FixtureRequest) -> Use:
    use: Use = request.param
    return use


async def write(database: Database) -> None:
    async with database.write() as session:
        assert await session.scalar(text("SELECT 1")) == 1


def received(way: FaultProxy) -> int:
    return sum(connection.received for connection in way.connections)


@pytest.mark.parametrize(
    "change",
    [{"database": "restored_elsewhere"}, {"database": "template0"}, {"username": "locked_out"}],
    ids=["no such database", "lets nobody in", "no such role"],
)
async def test_rejected_connection_is_unavailable(settings: Settings, change: dict[str, Any], read: Use) -> None:
    url = make_url(settings.database_url).set(**change)
    database = Database(clients.postgres(url.render_as_string(hide_password=False)))
    for use in (read, write):
        with pytest.raises(BackendUnavailableError):
            await use(database)
    await database.close()


async def test_replicas_are_checked_again_after_a_pause(replicated: Database) -> None:
    for replica in replicated._replicas._replicas:
        replica.checked_at -= CHECK_VALID_SECONDS
    assert replicated._replicas.pick() is None
    await eventually(lambda: len(usable(replicated)) == 2)


async def test_replicas_serve_reads_and_primary_serves_writes(replicated: Database, ways: Ways, read: Use) -> None:
    before = [received(way) for way in ways]
    for _ in range(4):
        await read(replicated)
    primary, *replicas = (received(way) - start for way, start in zip(ways, before, strict=True))
    assert primary == 0
    assert all(replicas)
    await write(replicated)
    assert received(ways[0]) > before[0]


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.RESET])
async def test_failed_replica_is_skipped_until_it_works(
    replicated: Database, ways: Ways, mode: Mode, read: Use
) -> None:
    _, broken, _ = ways
    await broken.switch(mode)
    for _ in range(10):
        await read(replicated)
    assert replicated.breaker.state is CircuitState.CLOSED
    await broken.switch(Mode.PASS)
    before = received(broken)

    async def used_again() -> bool:
        await read(replicated)
        return received(broken) > before

    await eventually(used_again, within=10)


async def test_primary_serves_reads_without_replicas(replicated: Database, ways: Ways, read: Use) -> None:
    for way in ways[1:]:
        await way.switch(Mode.CUT)
    for _ in range(4):
        await read(replicated)
    assert received(ways[0]) > 0


async def test_unchecked_replica_is_not_used(ways: Ways, read: Use) -> None:
    primary, *replicas = (clients.postgres(way.url) for way in ways)
    database = Database(primary, replicas)
    await read(database)
    assert received(ways[0]) > 0
    await database.close()


async def test_silent_replica_is_skipped_soon(replicated: Database, ways: Ways, read: Use) -> None:
    _, silent, _ = ways
    await silent.switch(Mode.STALL)
    await eventually(lambda: len(usable(replicated)) == 1, within=10)
    async with asyncio.timeout(1):
        for _ in range(4):
            await read(replicated)


@pytest.mark.parametrize("mode", [Mode.STALL, Mode.MUTE])
async def test_silent_replica_costs_a_second(replicated: Database, ways: Ways, mode: Mode, read: Use) -> None:
    for way in ways[1:]:
        await way.switch(mode)
    async with asyncio.timeout(2.5):
        await asyncio.gather(*(read(replicated) for _ in range(8)))
        await write(replicated)
    assert replicated.breaker.state is CircuitState.CLOSED


async def test_read_begun_on_a_replica_ends_on_the_primary(replicated: Database, ways: Ways) -> None:
    async with asyncio.timeout(2.5), replicated.read() as session:
        for way in ways[1:]:
            await way.switch(Mode.STALL)
        assert await session.scalar(text("SELECT 1")) == 1
        assert (await session.execute(text("SELECT 2"))).scalar() == 2
    assert replicated.breaker.state is CircuitState.CLOSED


async def start_reading(database: Database, way: FaultProxy) -> None:
    await read_in_session(database)
    async with database.read() as session:
        await way.switch(Mode.STALL)
        await session.scalar(text("SELECT 1"))


async def start_writing(database: Database, way: FaultProxy) -> None:
    async with database.write() as session:
        await session.scalar(text("SELECT 1"))
        await way.switch(Mode.STALL)
        await session.scalar(text("SELECT 1"))


async def read_later(database: Database, way: FaultProxy) -> None:
    await read_in_session(database)
    await way.switch(Mode.STALL)
    await asyncio.gather(*(read_in_session(database) for _ in range(20)))


async def fetch_later(database: Database, way: FaultProxy) -> None:
    await read_by_driver(database)
    await way.switch(Mode.STALL)
    await asyncio.gather(*(read_by_driver(database) for _ in range(20)))


@pytest.mark.slow
@pytest.mark.parametrize("use", [start_reading, start_writing, read_later, fetch_later])
async def test_stalled_primary_is_unavailable_within_3_seconds(
    ways: Ways, use: Callable[[Database, FaultProxy], Awaitable[None]]
) -> None:
    way = ways[0]
    database = Database(clients.postgres(way.url))
    started = time.monotonic()
    with pytest.raises(BackendUnavailableError):
        await use(database, way)
    assert time.monotonic() - started < 3
    # Nobody else has to find out.
    with pytest.raises(BackendUnavailableError):
        await read_by_driver(database)
    assert time.monotonic() - started < 3
    await way.switch(Mode.PASS)
    await eventually(lambda: is_up(database))
    await database.close()


async def is_up(database: Database) -> bool:
    try:
        await write(database)
    except BackendUnavailableError:
        return False
    return True


async def test_slow_statement_is_not_a_stall(ways: Ways) -> None:
    database = Database(clients.postgres(ways[0].url))
    async with database.read() as session:
        await session.execute(text("SELECT pg_sleep(2.2)"))
    assert database.breaker.state is CircuitState.CLOSED
    await database.close()


async def test_failures_because_of_a_lock_open_no_circuit(
    settings: Settings, catalogue: CatalogueFactory, database: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.backends.stall_probe.PATIENCE_SECONDS", 0.1)
    api = Database(clients.postgres(settings.database_url, pool_size=2, pool_timeout=0.5, command_timeout=60))
    async with database.connect() as holder:
        await holder.execute(text("LOCK TABLE countries IN ACCESS EXCLUSIVE MODE"))
        pid = await holder.scalar(text("SELECT pg_backend_pid()"))
        waiting = [asyncio.create_task(read_countries(api)) for _ in range(2)]
        await eventually(lambda: api._probe.lock_holder is not None)
        for failure in await asyncio.gather(*(read_countries(api) for _ in range(12)), return_exceptions=True):
            assert isinstance(failure, DatabaseBlockedError)
            assert (failure.pid, failure.locks) == (pid, "countries AccessExclusiveLock")
        assert api.breaker.state is CircuitState.CLOSED
        await holder.rollback()
        await asyncio.gather(*waiting)
    await api.close()


async def test_silent_database_closes_no_circuit(ways: Ways) -> None:
    database = Database(clients.postgres(ways[0].url))
    await database.ping()
    await ways[0].switch(Mode.STALL)
    database.breaker.trip()
    database.breaker._open_seconds = 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await database.ping()
    assert database.breaker.state is CircuitState.OPEN
    await database.close()


async def test_full_pool_opens_no_circuit(settings: Settings, read: Use) -> None:
    database = Database(clients.postgres(settings.database_url, pool_size=1, pool_timeout=0.05))
    async with database.read() as session:
        await session.connection()
        for failure in await asyncio.gather(*(read(database) for _ in range(12)), return_exceptions=True):
            assert isinstance(failure, BackendUnavailableError)
        assert database.breaker.state is CircuitState.CLOSED
    await database.close()


async def test_holder_of_a_lock_is_logged(ways: Ways, catalogue: CatalogueFactory, database: AsyncEngine) -> None:
    api = Database(clients.postgres(ways[0].url))
    async with database.connect() as holder:
        await holder.execute(text("LOCK TABLE countries IN ACCESS EXCLUSIVE MODE"))
        pid = await holder.scalar(text("SELECT pg_backend_pid()"))
        with capture_logs() as logs:
            reading = asyncio.create_task(read_countries(api))
            await eventually(lambda: any(line["event"] == "database_blocked" for line in logs))
            await holder.rollback()
            await reading
    line = next(line for line in logs if line["event"] == "database_blocked")
    assert line["pid"] == pid
    assert "countries AccessExclusiveLock" in line["locks"]
    await api.close()


async def read_countries(database: Database) -> None:
    async with database.read() as session:
        await session.execute(text("SELECT count(*) FROM countries"))
