"""Indexes are compared by definition: no duplicate of the platform's own, none missing because of a name."""

import asyncio

import pytest

import migrations
from migrations.index_steps import alternative
from migrations.versions.r3_queries import INDEXES
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
