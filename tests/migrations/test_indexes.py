"""Indexes are compared by definition: no duplicate of the platform's own, none missing because of a name."""

import asyncio

import pytest
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from migrations.index_steps import alternative, find_equal
from migrations.inspection import OWN_INDEXES, PLATFORM_INDEXES, find_differences
from migrations.versions.r3_queries import INDEXES
from schemas.tables import SCHEMA
from tests.migrations.databases import execute, fetch

TABLES = {name: definition.split(" ON ")[1].split(" ")[0] for name, definition in INDEXES.items()}
DEFINITIONS = """
SELECT regexp_replace(pg_get_indexdef(indexrelid), ' INDEX \\S+ ', ' INDEX ')
FROM pg_index WHERE indrelid = '{table}'::regclass AND indisvalid
"""


async def upgrade(url: str, revision: str = "head") -> None:
    await asyncio.to_thread(migrations.upgrade, url, revision)


async def definitions(url: str, table: str) -> list[str]:
    return sorted(row[0] for row in await fetch(url, DEFINITIONS.format(table=table)))


async def drop_platform_indexes(url: str) -> None:
    """Drop what the platform's own tables have, so that ours would be created."""
    for name in INDEXES:
        await execute(url, f"DROP INDEX IF EXISTS {name}")


@pytest.mark.parametrize("revision", ["head", "document_versions"])
async def test_equal_index_of_another_name_is_not_duplicated(platform_url: str, revision: str) -> None:
    """Neither by this release, nor does what an earlier one has built stay."""
    await drop_platform_indexes(platform_url)
    await upgrade(platform_url, revision)
    await execute(platform_url, "ALTER TABLE events ADD COLUMN IF NOT EXISTS event_uuid uuid")
    for number, definition in enumerate(INDEXES.values()):
        await execute(platform_url, f"CREATE {definition.replace('INDEX', f'INDEX theirs_{number}', 1)}")
    await upgrade(platform_url, "head")
    await asyncio.to_thread(migrations.downgrade, platform_url, "document_versions")
    await upgrade(platform_url)
    for name, table in TABLES.items():
        found = await definitions(platform_url, table)
        assert len(found) == len(set(found)), name


async def test_name_that_the_platform_uses_otherwise_is_left_alone(platform_url: str) -> None:
    await drop_platform_indexes(platform_url)
    for name, table in TABLES.items():
        await execute(platform_url, f"CREATE INDEX {name} ON {table} ((1))")
    await upgrade(platform_url)
    found = {row[0] for row in await fetch(platform_url, "SELECT indexname FROM pg_indexes")}
    assert found >= set(INDEXES) | {alternative(name) for name in INDEXES}
    await asyncio.to_thread(migrations.downgrade, platform_url)
    remaining = {row[0] for row in await fetch(platform_url, "SELECT indexname FROM pg_indexes")}
    assert remaining >= set(INDEXES)
    assert not remaining & {alternative(name) for name in INDEXES}


async def test_index_that_was_dropped_is_created_again(platform_url: str) -> None:
    """Though its revision is applied."""
    await upgrade(platform_url)
    before = {table: await definitions(platform_url, table) for table in TABLES.values()}
    for name in PLATFORM_INDEXES:
        await execute(platform_url, f"DROP INDEX IF EXISTS {name}")
    for index in OWN_INDEXES:
        await execute(platform_url, f"DROP INDEX {SCHEMA}.{index.name}")
    await execute(platform_url, "ALTER TABLE trip_templates RENAME difficulty_level TO difficulty")
    await upgrade(platform_url)
    await execute(platform_url, "ALTER TABLE trip_templates RENAME difficulty TO difficulty_level")
    assert {table: await definitions(platform_url, table) for table in TABLES.values()} != before
    await upgrade(platform_url)
    assert {table: await definitions(platform_url, table) for table in TABLES.values()} == before
    for index in OWN_INDEXES:
        assert await fetch(platform_url, f"SELECT to_regclass('{SCHEMA}.{index.name}')") != [(None,)]


WANTED = INDEXES["ix_trip_templates_active_title"]
KEYS = WANTED.split(" WHERE ")[0]
SAME_CONDITIONS = ("is_active", "is_active = true", "NOT (is_active = false)", "true = is_active")
OTHERS = (
    KEYS,
    f"{KEYS} WHERE NOT is_active",
    f"{KEYS} WHERE is_active AND id > 0",
    "INDEX ON trip_templates (title) WHERE is_active",
    "INDEX ON trip_templates (id, title) WHERE is_active",
    "INDEX ON trip_templates (title DESC, id) WHERE is_active",
    "INDEX ON trip_templates USING hash (title) WHERE is_active",
)


async def serving(database: AsyncEngine, definition: str, theirs: str) -> bool:
    """Return whether an index of the platform does what the definition says, in the words of `smarttrip check`."""

    def run(connection: Connection) -> bool:
        for name, _ in find_equal(connection, definition):
            connection.exec_driver_sql(f"DROP INDEX {name}")
        connection.exec_driver_sql(f"CREATE {theirs.replace('INDEX', 'INDEX theirs', 1)}")
        return not any(definition in sentence for sentence in find_differences(connection))

    async with database.connect() as connection:
        serves = await connection.run_sync(run)
        await connection.rollback()
    return serves


@pytest.mark.parametrize("condition", SAME_CONDITIONS)
async def test_condition_may_be_written_in_another_way(database: AsyncEngine, condition: str) -> None:
    assert await serving(database, WANTED, f"{KEYS} WHERE {condition}")


@pytest.mark.parametrize("theirs", OTHERS)
async def test_index_that_does_less_does_not_serve(database: AsyncEngine, theirs: str) -> None:
    assert not await serving(database, WANTED, theirs)


@pytest.mark.parametrize("definition", PLATFORM_INDEXES.values())
async def test_index_with_further_columns_serves(database: AsyncEngine, definition: str) -> None:
    keys, where, condition = definition.partition(" WHERE ")
    assert await serving(database, definition, f"{keys} INCLUDE (created_at){where}{condition}")
