"""Connections of the pool that Postgres has ended cost no request, and reading does not test them first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.backends import factory
from app.backends.database import Database
from core.configuration.settings import Settings
from core.errors import BackendUnavailableError
from core.postgres.driver_connection import PostgresConnection
from tests.support.fault_proxy import FaultProxy

CONNECTIONS = 4
NAME = "smarttrip broken"
END_ALL = text(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{NAME}'")
TEST = "SELECT 1"

Use = Callable[[Database], Awaitable[int]]


@pytest.fixture
async def own_database(settings: Settings) -> AsyncIterator[Database]:
    url = f"{settings.database_url}?application_name={NAME.replace(' ', '%20')}"
    changed = settings.model_copy(update={"database_url": url, "postgres_connections": CONNECTIONS})
    database = factory.database(changed)
    yield database
    await database.close()


async def read(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(text("SELECT 7 FROM pg_sleep(0.02)")) or 0


async def write(database: Database) -> int:
    async def work(session: AsyncSession) -> int:
        return await session.scalar(text("SELECT 7 FROM pg_sleep(0.02)")) or 0

    return await database.transact(work)


async def fill_pool(database: Database) -> None:
    assert await asyncio.gather(*(read(database) for _ in range(CONNECTIONS))) == [7] * CONNECTIONS


@pytest.mark.parametrize(("use", "seconds"), [(read, 0), (read, 0.2), (write, 0.2)])
async def test_ended_connections_cost_no_request(
    own_database: Database, database: AsyncEngine, use: Use, seconds: float
) -> None:
    await fill_pool(own_database)
    async with database.connect() as other:
        assert await other.scalar(END_ALL) == CONNECTIONS
    await asyncio.sleep(seconds)
    found = await asyncio.gather(*(use(own_database) for _ in range(3 * CONNECTIONS)))
    assert found == [7] * 3 * CONNECTIONS


async def test_statement_is_repeated_where_the_connection_breaks_before_it(
    own_database: Database, database: AsyncEngine
) -> None:
    async with own_database.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1
        async with database.connect() as other:
            assert await other.scalar(END_ALL) == 1
        assert await session.scalar(text("SELECT 2")) == 2


async def test_statement_that_always_breaks_its_connection_fails(own_database: Database) -> None:
    with pytest.raises(BackendUnavailableError):
        async with own_database.read() as session:
            await session.scalar(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.mark.parametrize(("use", "tests"), [(read, 0), (write, 1)])
async def test_only_writing_tests_the_connection(
    own_database: Database, monkeypatch: pytest.MonkeyPatch, use: Use, tests: int
) -> None:
    await use(own_database)
    executed: list[str] = []
    execute = PostgresConnection.execute

    async def recorded(connection: PostgresConnection, query: str, *arguments: Any, **named: Any) -> str:
        executed.append(query)
        return await execute(connection, query, *arguments, **named)

    monkeypatch.setattr(PostgresConnection, "execute", recorded)
    await use(own_database)
    assert executed.count(TEST) == tests


async def find(session: AsyncSession, ids: Sequence[int]) -> Mapping[int, bytes]:
    rows = await session.scalars(text("SELECT unnest(CAST(:ids AS bigint[]))"), {"ids": [*ids]})
    return {row_id: b"%d" % row_id for row_id in rows}


async def test_connections_that_a_firewall_has_dropped_fail_as_many_shared_reads(settings: Settings) -> None:
    dropped, asked = 2, 40
    async with FaultProxy(settings.database_url) as proxy:
        changed = {"database_url": proxy.url, "postgres_connections": CONNECTIONS, "postgres_statement_seconds": 1.0}
        database = factory.database(settings.model_copy(update=changed))
        assert await asyncio.gather(*(read(database) for _ in range(dropped))) == [7] * dropped
        proxy.drop_packets()
        reads: list[asyncio.Task[bytes | None]] = []
        for number in range(asked):
            reads.append(asyncio.create_task(database.by_id.get(find, number)))
            await asyncio.sleep(0.05)
        found = await asyncio.gather(*reads, return_exceptions=True)
        await database.close()
    failed = [result for result in found if isinstance(result, BackendUnavailableError)]
    # A dropped connection fails what was asked for at the same moment.
    assert len(failed) <= dropped * 2
    assert len(failed) + sum(result == b"%d" % number for number, result in enumerate(found)) == asked
