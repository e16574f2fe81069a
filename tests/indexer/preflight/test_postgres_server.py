from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.configuration.settings import Settings
from indexer.preflight import postgres_server
from indexer.preflight.comparison import compare_postgres
from indexer.preflight.postgres_server import PROBE_CONNECTIONS, WORKER_CONNECTIONS
from tests.support.sync import execute


async def test_server_of_the_tests_has_no_differences(settings: Settings) -> None:
    assert await compare_postgres(settings) == []


async def test_too_few_connections_of_the_server_are_named(settings: Settings) -> None:
    (found,) = await compare_postgres(settings.model_copy(update={"workers": 64, "postgres_connections": 100}))
    assert found.startswith("The setting max_connections of Postgres leaves ")
    assert str(64 * (100 + PROBE_CONNECTIONS) + WORKER_CONNECTIONS) in found


@asynccontextmanager
async def limited(database: AsyncEngine, connections: int) -> AsyncIterator[None]:
    """Limit the connections of the database; the tests' role may exceed the limit."""
    await execute(database, f"ALTER DATABASE {database.url.database} CONNECTION LIMIT {connections}")
    try:
        yield
    finally:
        await execute(database, f"ALTER DATABASE {database.url.database} CONNECTION LIMIT -1")


async def test_too_few_connections_of_the_database_are_named(settings: Settings, database: AsyncEngine) -> None:
    async with limited(database, WORKER_CONNECTIONS):
        (found,) = await compare_postgres(settings)
    assert f"The connection limit of this database leaves {WORKER_CONNECTIONS} connections" in found


async def test_nearly_reached_limit_is_named_behind_a_pooler_too(
    settings: Settings, database: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_pooled(_: AsyncConnection) -> bool:
        return True

    monkeypatch.setattr(postgres_server, "_is_pooled", is_pooled)
    async with limited(database, 2), database.connect() as held:
        await held.execute(text("SELECT 1"))
        (found,) = await compare_postgres(settings)
    assert found.startswith("Of the 2 connections that the connection limit of this database leaves, ")


async def test_connections_of_other_roles_count_for_an_ordinary_role(database: AsyncEngine) -> None:
    role = f"{database.url.database}_ordinary"
    async with database.connect() as connection, database.connect() as other:
        await other.execute(text("SELECT 1"))
        await connection.execute(text(f"CREATE ROLE {role}"))
        await connection.execute(text(f"SET LOCAL ROLE {role}"))
        server = (await connection.execute(postgres_server.SERVER)).one()
        assert server.database_taken >= 2
        assert server.server_taken >= server.database_taken > server.role_taken
        await connection.rollback()


async def test_other_database_behind_the_direct_url_is_named(settings: Settings) -> None:
    other = settings.database_url.rpartition("/")[0] + "/postgres"
    (found,) = await compare_postgres(settings.model_copy(update={"database_direct_url": other}))
    assert "DATABASE_DIRECT_URL leads to another database" in found
