from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.preflight.comparison import compare_postgres
from indexer.preflight.postgres_server import WORKER_CONNECTIONS
from tests.support.sync import execute


async def test_server_of_the_tests_has_no_differences(settings: Settings) -> None:
    assert await compare_postgres(settings) == []


async def test_too_few_connections_of_the_server_are_named(settings: Settings) -> None:
    (found,) = await compare_postgres(settings.model_copy(update={"workers": 64, "postgres_connections": 100}))
    assert found.startswith("Max_connections of Postgres leaves ")
    assert str(64 * 101 + WORKER_CONNECTIONS) in found


async def test_too_few_connections_of_the_database_are_named(settings: Settings, database: AsyncEngine) -> None:
    await execute(database, f"ALTER DATABASE {database.url.database} CONNECTION LIMIT 3")
    try:
        (found,) = await compare_postgres(settings)
    finally:
        await execute(database, f"ALTER DATABASE {database.url.database} CONNECTION LIMIT -1")
    assert "The connection limit of this database leaves 3 connections" in found


async def test_other_database_behind_the_direct_url_is_named(settings: Settings) -> None:
    other = settings.database_url.rpartition("/")[0] + "/postgres"
    (found,) = await compare_postgres(settings.model_copy(update={"database_direct_url": other}))
    assert "DATABASE_DIRECT_URL leads to another database" in found
