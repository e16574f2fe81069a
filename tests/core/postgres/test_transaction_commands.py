"""Commands that begin or end a transaction and fail: what is written later on the pool's connections is stored."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from asyncpg import QueryCanceledError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.settings import Settings
from core.postgres.driver_connection import PostgresConnection

TABLE = "written_after_failures"


@pytest.fixture
async def own_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = clients.postgres(settings.database_url, pool_size=1)
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE TABLE {TABLE} (id integer)"))
    yield engine
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP TABLE {TABLE}"))
    await engine.dispose()


async def insert(engine: AsyncEngine, number: int) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(f"INSERT INTO {TABLE} VALUES ({number})"))


async def cancel(engine: AsyncEngine) -> None:
    """Insert, and roll back."""
    async with engine.connect() as connection:
        await connection.execute(text(f"INSERT INTO {TABLE} VALUES (-1)"))
        await connection.rollback()


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("BEGIN", TimeoutError()),
        ("BEGIN", QueryCanceledError("canceling statement due to user request")),
        ("COMMIT", TimeoutError()),
        ("ROLLBACK", TimeoutError()),
    ],
)
@pytest.mark.parametrize("reached", [True, False], ids=["reached", "not reached"])
async def test_later_writes_are_stored(
    own_engine: AsyncEngine,
    database: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    error: Exception,
    *,
    reached: bool,
) -> None:
    execute, failing = PostgresConnection.execute, [command]

    async def fail_once(connection: PostgresConnection, query: str, *arguments: Any, **named: Any) -> str:
        if failing and query.startswith(command):
            failing.clear()
            if reached:
                await execute(connection, query, *arguments, **named)
            raise error
        return await execute(connection, query, *arguments, **named)

    monkeypatch.setattr(PostgresConnection, "execute", fail_once)
    with pytest.raises((TimeoutError, DBAPIError)):
        await (cancel(own_engine) if command == "ROLLBACK" else insert(own_engine, 0))
    assert not failing
    for number in (1, 2):
        await insert(own_engine, number)
    async with database.connect() as other:
        stored = await other.scalars(text(f"SELECT id FROM {TABLE} WHERE id != 0 ORDER BY id"))
    assert [*stored] == [1, 2]
