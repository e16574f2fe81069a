"""`smarttrip check` names whatever the code needs and the database lacks."""

import asyncio
import subprocess
from itertools import zip_longest

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.preflight.comparison import PARTS
from migrations.index_steps import find_equal
from migrations.inspection import PLATFORM_INDEXES, find_differences, find_obstacles
from migrations.versions.r2_sync import EVENTS, WATCHED
from schemas.tables import SCHEMA, Base
from scripts.errors import ExitCode
from tests.conftest import drop_indices
from tests.support.command import smarttrip
from tests.support.processes import environment
from tests.support.sync import execute

TABLES = Base.metadata.sorted_tables
ROUNDS = [
    [(table, name) for table, name in zip(TABLES, names, strict=True) if name]
    for names in zip_longest(*([column.name for column in table.columns] for table in TABLES))
]
"""Of each table one column; all rounds together have every column."""


async def differences_after(engine: AsyncEngine, *statements: str) -> list[str]:
    def run(connection: Connection) -> list[str]:
        for statement in statements:
            connection.execute(text(statement))
        return find_differences(connection)

    async with engine.connect() as connection:
        found = await connection.run_sync(run)
        await connection.rollback()
    return found


async def test_migrated_database_has_no_differences(database: AsyncEngine) -> None:
    assert await differences_after(database) == []


@pytest.mark.parametrize("number", range(len(ROUNDS)))
async def test_each_missing_column_is_named(database: AsyncEngine, number: int) -> None:
    drops = [f'ALTER TABLE {table.fullname} DROP COLUMN "{name}" CASCADE' for table, name in ROUNDS[number]]
    found = await differences_after(database, *drops)
    for table, name in ROUNDS[number]:
        assert any(f"The column {table.fullname}.{name} is missing" in sentence for sentence in found)


async def test_each_missing_table_is_named(database: AsyncEngine) -> None:
    found = await differences_after(database, *(f"DROP TABLE {table.fullname} CASCADE" for table in TABLES))
    assert len(found) == len(TABLES)
    for table in TABLES:
        assert any(f"The table {table.fullname} is missing" in sentence for sentence in found)


async def test_each_missing_or_disabled_trigger_is_named(database: AsyncEngine) -> None:
    for action in ("DROP TRIGGER {1} ON {0}", "ALTER TABLE {0} DISABLE TRIGGER {1}"):
        pairs = [(watched.table, f"smarttrip_{event}") for watched in WATCHED for event in EVENTS]
        found = await differences_after(database, *(action.format(*pair) for pair in pairs))
        for table, trigger in pairs:
            assert any(sentence.startswith(f"The trigger {trigger} of {table} is") for sentence in found)


async def test_each_missing_index_is_named(database: AsyncEngine) -> None:
    def drop(connection: Connection) -> list[str]:
        for definition in PLATFORM_INDEXES.values():
            for name, _ in find_equal(connection, definition):
                connection.execute(text(f"DROP INDEX {name}"))
        return find_differences(connection)

    async with database.connect() as connection:
        found = await connection.run_sync(drop)
        await connection.rollback()
    assert len(found) == len(PLATFORM_INDEXES)
    assert all(any(definition in sentence for sentence in found) for definition in PLATFORM_INDEXES.values())


async def test_each_missing_right_is_named(database: AsyncEngine) -> None:
    role = f"reader_{database.url.database}"
    found = await differences_after(
        database, f"CREATE ROLE {role}", f"GRANT USAGE ON SCHEMA smarttrip TO {role}", f"SET LOCAL ROLE {role}"
    )
    for table in TABLES:
        assert any(f"rights on the table {table.fullname}: " in sentence and "SELECT" in sentence for sentence in found)


async def test_only_missing_tables_of_ours_keep_processes_from_starting(database: AsyncEngine) -> None:
    for table in TABLES:
        async with database.connect() as connection:
            await connection.execute(text(f"DROP TABLE {table.fullname} CASCADE"))
            found = await connection.run_sync(find_obstacles)
            await connection.rollback()
        missing = f"The table {table.fullname} is missing, or this role may not see it."
        assert found == ([missing] if table.schema == SCHEMA else [])


async def test_column_of_another_type_is_named(database: AsyncEngine) -> None:
    change = "ALTER TABLE trip_occurrences ALTER COLUMN {} TYPE {}"
    assert await differences_after(database, change.format("spots_left", "bigint")) == []
    (found,) = await differences_after(database, change.format("notes", "bytea USING NULL"))
    assert found == "The column trip_occurrences.notes is of the type bytea; it should be text."


async def command(settings: Settings, name: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(smarttrip, name, env=environment(settings))


async def test_migration_says_what_differs_when_it_is_done(settings: Settings, database: AsyncEngine) -> None:
    rename = "ALTER TABLE guides RENAME {} TO {}"
    await execute(database, rename.format("bio", "biography"))
    try:
        result = await command(settings, "migrate")
    finally:
        await execute(database, rename.format("biography", "bio"))
    assert result.returncode == ExitCode.DONE
    assert "The column guides.bio is missing; it should be of the type text." in result.stdout.splitlines()
    assert "up to date" not in result.stdout


async def test_command_prints_each_difference(settings: Settings, database: AsyncEngine) -> None:
    await drop_indices(settings)
    result = await command(settings, "check")
    assert result.returncode == ExitCode.DIFFERS
    printed = result.stdout.splitlines()
    assert "There is no index yet; the worker builds it." in printed
    assert printed == [sentence for compare in PARTS.values() for sentence in await compare(settings)]
