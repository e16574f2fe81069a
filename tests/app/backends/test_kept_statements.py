"""Prepared statements that connections of the API keep, while the platform changes its tables."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import Select, literal, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.backends import factory
from app.backends.database import Database
from core.clients import KEPT_STATEMENTS
from core.configuration.settings import Settings
from core.postgres.driver_connection import NOT_KEPT
from tests.support.sync import execute

CHANGES = (
    "ALTER TABLE changed ALTER COLUMN value TYPE bigint",
    "ALTER TABLE changed ALTER COLUMN value TYPE text",
    "DROP TABLE changed; CREATE TABLE changed (id integer, value numeric); INSERT INTO changed VALUES (1, 7)",
    "DROP INDEX changed_id",
)


@pytest.fixture
async def own_database(settings: Settings, database: AsyncEngine) -> AsyncIterator[Database]:
    await execute(database, "CREATE TABLE changed (id integer, value integer)")
    await execute(database, "CREATE INDEX changed_id ON changed (id)")
    await execute(database, "INSERT INTO changed VALUES (1, 7)")
    own = factory.database(settings)
    yield own
    await own.close()
    await execute(database, "DROP TABLE changed")


async def read_value(database: Database) -> int:
    async with database.read() as session:
        return int(await session.scalar(text("SELECT value FROM changed WHERE id = 1")) or 0)


VALUE: Select[Any] = select(literal_column("value")).select_from(text("changed")).where(text("id = 1"))


async def fetch_value(database: Database) -> int:
    """Read without a session."""
    ((found,),) = await database.fetch(VALUE)
    return int(found)


READS = (read_value, fetch_value)


async def update_value(session: AsyncSession) -> int:
    found = await session.scalar(text("UPDATE changed SET value = 7 WHERE id = 1 RETURNING value"))
    return int(found or 0)


async def kept(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(text("SELECT count(*) FROM pg_prepared_statements")) or 0


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("change", CHANGES)
async def test_changed_table_costs_no_request(
    own_database: Database, database: AsyncEngine, change: str, read: Callable[[Database], Awaitable[int]]
) -> None:
    for _ in range(3):
        assert await read(own_database) == 7
        assert await own_database.transact(update_value) == 7
    for statement in change.split("; "):
        await execute(database, statement)
    for _ in range(3):
        assert await read(own_database) == 7
        assert await own_database.transact(update_value) == 7


@pytest.mark.parametrize("read", READS)
async def test_repeated_statement_is_prepared_once(
    own_database: Database, read: Callable[[Database], Awaitable[int]]
) -> None:
    for _ in range(3):
        await read(own_database)
    before = await kept(own_database)
    assert before > 0
    for _ in range(3):
        await read(own_database)
    assert await kept(own_database) == before


async def test_connection_keeps_a_limited_number(own_database: Database) -> None:
    for number in range(KEPT_STATEMENTS * 2):
        async with own_database.read() as session:
            assert await session.scalar(text(f"SELECT {number}")) == number
    assert await kept(own_database) <= KEPT_STATEMENTS + 1


async def test_statement_that_is_marked_is_not_kept(own_database: Database) -> None:
    before = await kept(own_database)
    async with own_database.read() as session:
        assert await session.scalar(select(literal(7)).prefix_with(NOT_KEPT)) == 7
    assert await kept(own_database) == before
    async with own_database.read() as session:
        assert await session.scalar(select(literal(7))) == 7
    assert await kept(own_database) > before


async def test_reading_takes_no_transaction(own_database: Database) -> None:
    async with own_database.read() as session:
        xid = text("SELECT now()")
        assert await session.scalar(xid) != await session.scalar(xid)
