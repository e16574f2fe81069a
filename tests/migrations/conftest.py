from collections.abc import AsyncIterator

import asyncpg
import pytest

from core.configuration.settings import Settings
from tests.conftest import fresh_database, plain
from tests.migrations.databases import make_bare_tables


@pytest.fixture
async def empty_url(services: Settings, slot: int) -> AsyncIterator[str]:
    name = f"smarttrip_test_{slot}_migrations"
    yield await fresh_database(services.database_url, name)
    connection = await asyncpg.connect(plain(services.database_url))
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def platform_url(empty_url: str) -> str:
    """A database with the tables that another application's ORM has created: no defaults, few indexes, no analytics."""
    await make_bare_tables(empty_url)
    return empty_url
