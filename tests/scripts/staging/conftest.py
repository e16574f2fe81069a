"""Two databases beside the test's own: one to be copied, with columns of its own, and one that takes the copy."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from core.configuration.settings import Settings
from tests.conftest import fresh_database, plain
from tests.migrations.databases import execute

EMPTY = "DROP SCHEMA IF EXISTS smarttrip, elsewhere, public CASCADE; CREATE SCHEMA public"
"""Much faster than another database."""


@pytest.fixture(scope="module")
async def empty_databases(services: Settings, slot: int) -> AsyncIterator[list[str]]:
    names = [f"smarttrip_test_{slot}_{role}" for role in ("source", "target")]
    yield [await fresh_database(services.database_url, name) for name in names]
    connection = await asyncpg.connect(plain(services.database_url))
    for name in names:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def source_url(empty_databases: list[str]) -> str:
    await execute(empty_databases[0], EMPTY)
    return empty_databases[0]


@pytest.fixture
async def target_url(empty_databases: list[str]) -> str:
    await execute(empty_databases[1], EMPTY)
    return empty_databases[1]
