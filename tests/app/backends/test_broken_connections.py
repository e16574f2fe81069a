"""Connections of the pool that Postgres has ended cost no request, and reading does not test them first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from threading import Thread
from typing import Any

import asyncpg
import pytest
from sqlalchemy import ARRAY, BigInteger, Integer, bindparam, func, literal_column, select, text
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


async def fetch(database: Database) -> int:
    """Read without a session."""
    ((found,),) = await database.fetch(select(literal_column("7", Integer)).select_from(func.pg_sleep(0.02)))
    return found


async def write(database: Database) -> int:
    async def work(session: AsyncSession) -> int:
        return await session.scalar(text("SELECT 7 FROM pg_sleep(0.02)")) or 0

    return await database.transact(work)


async def fill_pool(database: Database) -> None:
    assert await asyncio.gather(*(read(database) for _ in range(CONNECTIONS))) == [7] * CONNECTIONS


@pytest.mark.parametrize(("use", "seconds"), [(read, 0), (read, 0.2), (fetch, 0), (fetch, 0.2), (write, 0.2)])
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
    ending = func.pg_terminate_backend(func.pg_backend_pid())
    with pytest.raises(BackendUnavailableError):
        async with own_database.read() as session:
            await session.scalar(select(ending))
    with pytest.raises(BackendUnavailableError):
        await own_database.fetch(select(ending))


def end_all_unnoticed(url: str) -> None:
    """End the connections while the loop stands still, so that nothing tells this process."""

    async def end_all() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(str(END_ALL))
        await connection.close()

    thread = Thread(target=lambda: asyncio.run(end_all()))
    thread.start()
    thread.join()


@pytest.mark.parametrize("use", [read, fetch, write])
async def test_connections_that_broke_unnoticed_cost_no_request(
    own_database: Database, settings: Settings, use: Use
) -> None:
    await fill_pool(own_database)
    end_all_unnoticed(settings.database_url.replace("+asyncpg", ""))
    assert await use(own_database) == 7


@pytest.mark.parametrize(("use", "tests"), [(read, 0), (fetch, 0), (write, 1)])
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


FIND = select(func.unnest(bindparam("ids", type_=ARRAY(BigInteger)), type_=BigInteger))


async def find(database: Database, ids: Sequence[int]) -> Mapping[int, bytes]:
    return {row_id: b"%d" % row_id for (row_id,) in await database.fetch(FIND, ids=ids)}


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
