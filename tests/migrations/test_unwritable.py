"""What the platform makes of a table so that no insert of ours can succeed, or reads see too little, is named."""

import asyncio

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from migrations.unwritable import WRITTEN
from schemas.tables import SCHEMA, Base
from tests.migrations.databases import describe, execute
from tests.migrations.test_inspection import differences_after
from tests.support.tracking.entries import event
from tests.tracking.test_protected_rows import run
from tracking.writers.batches import store

MAKES = {
    "rule of inserts": "CREATE RULE odd AS ON INSERT TO {0} DO ALSO NOTIFY odd",
    "rule of updates": "CREATE RULE odd AS ON UPDATE TO {0} DO ALSO NOTIFY odd",
    "required column": "ALTER TABLE {0} ADD COLUMN odd integer; ALTER TABLE {0} ALTER COLUMN odd SET NOT NULL",
}
HARMLESS = (
    "ALTER TABLE {0} ADD COLUMN odd integer NOT NULL DEFAULT 0",
    "ALTER TABLE {0} ADD COLUMN odd bigint GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE {0} ADD COLUMN odd bigint GENERATED ALWAYS AS (1) STORED NOT NULL",
    "CREATE RULE odd AS ON DELETE TO {0} DO ALSO NOTIFY odd",
)

written = pytest.mark.parametrize("table", sorted(WRITTEN))


@written
@pytest.mark.parametrize("make", MAKES)
async def test_table_that_takes_no_insert_is_named(database: AsyncEngine, table: str, make: str) -> None:
    (found,) = await differences_after(database, *MAKES[make].format(table).split("; "))
    assert table in found
    assert "odd" in found


@written
async def test_table_that_takes_inserts_is_not_named(database: AsyncEngine, table: str) -> None:
    for statement in HARMLESS:
        assert await differences_after(database, statement.format(table)) == [], statement


@pytest.mark.parametrize("make", MAKES)
async def test_table_that_takes_no_insert_is_refused_before_the_first_step(platform_url: str, make: str) -> None:
    await execute(platform_url, MAKES[make].format("events"))
    before = await describe(platform_url)
    with pytest.raises(migrations.MigrationError, match=r"events.*Nothing was changed"):
        await asyncio.to_thread(migrations.upgrade, platform_url)
    assert await describe(platform_url) == before


@pytest.mark.parametrize("make", [make for make in MAKES if "rule" in make])
async def test_rule_keeps_events_from_being_stored_until_it_is_dropped(database: AsyncEngine, make: str) -> None:
    await run(database, MAKES[make].format("events"))
    try:
        with pytest.raises(DBAPIError):
            await store(database, [event()])
    finally:
        await run(database, "DROP RULE odd ON events")
    await store(database, [event()])


READER = ("CREATE ROLE {role}", "GRANT ALL ON SCHEMA public, smarttrip TO {role}")
GRANTS = ("GRANT ALL ON ALL TABLES IN SCHEMA public, smarttrip TO {role}", "SET LOCAL ROLE {role}")
POLICY = "CREATE POLICY {name} ON {table} AS {kind} FOR SELECT USING ({condition})"


@pytest.mark.parametrize(
    ("policies", "hides"),
    [
        ((), True),
        ((("PERMISSIVE", "true"),), False),
        ((("PERMISSIVE", "true"), ("PERMISSIVE", "false")), False),
        ((("PERMISSIVE", "current_user = 'other'"),), True),
        ((("PERMISSIVE", "true"), ("RESTRICTIVE", "current_user = 'other'")), True),
    ],
)
async def test_row_security_that_hides_rows_is_named(
    database: AsyncEngine, policies: tuple[tuple[str, str], ...], hides: bool
) -> None:
    tables = [table.name for table in Base.metadata.sorted_tables if table.schema != SCHEMA]
    role = f"reader_{database.url.database}"
    statements = [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in tables]
    statements += [
        POLICY.format(name=f"odd_{number}", table=table, kind=kind, condition=condition)
        for table in tables
        for number, (kind, condition) in enumerate(policies)
    ]
    found = await differences_after(
        database, *(statement.format(role=role) for statement in (*READER, *statements, *GRANTS))
    )
    named = {table for table in tables if any(f"security of the table {table} " in sentence for sentence in found)}
    assert named == (set(tables) if hides else set())


async def test_owner_sees_all_rows(database: AsyncEngine) -> None:
    assert await differences_after(database, "ALTER TABLE trip_occurrences ENABLE ROW LEVEL SECURITY") == []
