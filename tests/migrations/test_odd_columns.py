"""Statements of the platform succeed and leave their change whatever becomes of a watched table's columns."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from migrations.versions.r2_sync import WATCHED, Watched
from tests.conftest import plain
from tests.support.factories import CatalogueFactory

TYPES = """
SELECT format_type(oid, NULL) FROM pg_type
WHERE typtype IN ('b', 'r', 'm') AND typnamespace = 'pg_catalog'::regnamespace
  AND typelem NOT IN (SELECT oid FROM pg_type WHERE typtype IN ('c', 'p'))
UNION ALL SELECT unnest(ARRAY['odd_composite', 'odd_composite[]', 'odd_domain', 'odd_domain[]', 'odd_array',
    'odd_enum', 'odd_enum[]', 'odd_range', 'odd_range[]', 'odd_multirange'])
ORDER BY 1
"""
"""Every type that a column can have, with ours that hold what cannot be compared."""

MAKE_TYPES = """
CREATE TYPE odd_composite AS (a integer, b json);
CREATE DOMAIN odd_domain AS json;
CREATE TYPE odd_enum AS ENUM ('1', '2');
CREATE TYPE odd_range AS RANGE (subtype = float8, multirange_type_name = odd_multirange);
CREATE DOMAIN odd_array AS point[];
"""


@pytest.fixture
async def connection(database: AsyncEngine) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(plain(database.url.render_as_string(hide_password=False)))
    yield connection
    await connection.close()


@pytest.fixture
async def rows(catalogue: CatalogueFactory) -> None:
    """Insert one row into each watched table."""
    country, guide, tag = await catalogue.country(), await catalogue.guide(), await catalogue.tag()
    template = await catalogue.template(
        tags=[tag], countries=[country], trip_type_id=await catalogue.trip_type(), primary_country_id=country
    )
    await catalogue.occurrence(trip_template_id=template, guide_id=guide)


DROP_FOREIGN_KEYS = """
DO $$ DECLARE command text; BEGIN
FOR command IN SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
    FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
LOOP EXECUTE command; END LOOP;
END $$
"""


@asynccontextmanager
async def altered(connection: Any, *statements: str) -> AsyncIterator[None]:
    """Run statements that are rolled back after the block; foreign keys do not get in the way of what follows."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        for statement in (DROP_FOREIGN_KEYS, *statements, "DELETE FROM smarttrip.outbox"):
            await connection.execute(statement)
        yield
    finally:
        await transaction.rollback()


async def changes(connection: Any) -> set[tuple[str, int | None]]:
    """Return kind and row id of the rows in the outbox, and empty it."""
    rows = await connection.fetch("DELETE FROM smarttrip.outbox RETURNING kind, row_id")
    return {(row["kind"], row["row_id"]) for row in rows}


async def write_each_way(connection: Any, table: str, update: str) -> list[set[tuple[str, int | None]]]:
    """Return the changes that an update, a delete and an insert of the table's rows leave."""
    await connection.execute(f"UPDATE {table} SET {update}")
    updated = await changes(connection)
    await connection.execute(f"CREATE TEMP TABLE copy ON COMMIT DROP AS TABLE {table}")
    await connection.execute(f"DELETE FROM {table}")
    deleted = await changes(connection)
    await connection.execute(f"INSERT INTO {table} SELECT * FROM copy")
    return [updated, deleted, await changes(connection)]


def update_of(watched: Watched, missing: str) -> str:
    """Return the SET clause that changes a watched column other than the missing one."""
    column = next(name for name in reversed(watched.columns.split()) if name != missing)
    step = "interval '1 day'" if column in ("created_at", "updated_at") else "1"
    return f"{column} = {column} + {step}"


def columns_of(watched: Watched) -> list[str]:
    return [watched.row_id, *watched.columns.split()]


def everything(watched: Watched) -> tuple[str, None]:
    return ("all" if watched.kind == "occurrence" else watched.kind, None)


tables = pytest.mark.parametrize("watched", WATCHED, ids=lambda watched: watched.table)


@pytest.mark.usefixtures("rows")
@tables
@pytest.mark.parametrize("change", ["DROP COLUMN {} CASCADE", "RENAME COLUMN {} TO something_else"])
async def test_missing_column_fails_no_statement(connection: Any, watched: Watched, change: str) -> None:
    for column in columns_of(watched):
        if watched.columns == column:
            continue
        async with altered(connection, f"ALTER TABLE {watched.table} {change.format(column)}"):
            left = await write_each_way(connection, watched.table, update_of(watched, column))
        for found in left:
            assert found, column
            assert (everything(watched) in found) == (column == watched.row_id), column


@pytest.mark.usefixtures("rows")
@tables
async def test_column_of_any_type_fails_no_statement(connection: Any, watched: Watched) -> None:
    async with altered(connection, MAKE_TYPES):
        names = [row[0] for row in await connection.fetch(TYPES)]
    assert len(names) > 100
    column = watched.columns.split()[0]
    # The tables share the types among them; what each does with uncomparable ones is tested below.
    for name in names[WATCHED.index(watched) :: len(WATCHED)]:
        retype = f"ALTER TABLE {watched.table} DROP COLUMN {column} CASCADE, ADD COLUMN {column} {name}"
        async with altered(connection, MAKE_TYPES, retype):
            left = await write_each_way(connection, watched.table, f"{column} = {column}")
        assert all(left[1:]), name


EQUAL_BY_OPERATOR_ONLY = [
    ("json", """'{"a": 1}'""", """'{"a": 2}'"""),
    ("odd_composite", """ROW(1, '{"a": 1}')""", """ROW(1, '{"a": 2}')"""),
    ("odd_domain", "'1'", "'2'"),
    ("point", "'1,2'", "'2,1'"),
    ("box", "'(0,0),(2,8)'", "'(0,0),(4,4)'"),
    ("circle", "'<(0,0),1>'", "'<(5,5),1>'"),
    ("json[]", """ARRAY['{"a": 1}'::json]""", """ARRAY['{"a": 2}'::json]"""),
]
"""Types without equality, or with one that holds for different values."""


@pytest.mark.usefixtures("rows")
@tables
@pytest.mark.parametrize(("name", "before", "after"), EQUAL_BY_OPERATOR_ONLY, ids=lambda value: str(value)[:16])
async def test_changed_value_of_odd_type_is_a_change(
    connection: Any, watched: Watched, name: str, before: str, after: str
) -> None:
    column = watched.columns.split()[0]
    retype = f"ALTER TABLE {watched.table} DROP COLUMN {column} CASCADE, ADD COLUMN {column} {name} DEFAULT {before}"
    async with altered(connection, MAKE_TYPES, retype):
        await connection.execute(f"UPDATE {watched.table} SET {column} = {before}")
        assert await changes(connection) == set()
        await connection.execute(f"UPDATE {watched.table} SET {column} = {after}")
        assert {kind for kind, _ in await changes(connection)} == {watched.kind}


BIG = 2**40


@pytest.mark.usefixtures("rows")
@tables
@pytest.mark.parametrize("name", ["bigint", "numeric(20)"])
async def test_wide_key_is_recorded_whole(connection: Any, watched: Watched, name: str) -> None:
    key = watched.row_id
    async with altered(connection, f"ALTER TABLE {watched.table} ALTER COLUMN {key} TYPE {name}"):
        updated, deleted, inserted = await write_each_way(connection, watched.table, f"{key} = {key} + {BIG}")
    assert deleted == inserted
    assert {row_id > BIG for _, row_id in deleted if row_id is not None} == {True}
    assert deleted < updated


@pytest.mark.usefixtures("rows")
@tables
@pytest.mark.parametrize(
    "name", ["uuid USING gen_random_uuid()", "text USING 'key'", "numeric USING 1e30", "jsonb USING '{}'"]
)
async def test_key_that_is_no_integer_stands_for_everything(connection: Any, watched: Watched, name: str) -> None:
    drop_default = f"ALTER TABLE {watched.table} ALTER COLUMN {watched.row_id} DROP DEFAULT"
    drop_keys = f"ALTER TABLE {watched.table} DROP CONSTRAINT {watched.table}_pkey CASCADE"
    retype = f"ALTER TABLE {watched.table} ALTER COLUMN {watched.row_id} TYPE {name}"
    async with altered(connection, drop_default, drop_keys, retype):
        left = await write_each_way(connection, watched.table, update_of(watched, watched.row_id))
    assert left == [{everything(watched)}] * 3


ODD_TABLES: dict[str, str] = {
    "row security": (
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY odd ON {table} USING (true) WITH CHECK (true)"
    ),
    "generated column": "ALTER TABLE {table} ADD COLUMN odd bigint GENERATED ALWAYS AS ({key} * 2) STORED",
    "generated watched column": (
        "ALTER TABLE {table} DROP COLUMN {column} CASCADE,"
        " ADD COLUMN {column} bigint GENERATED ALWAYS AS ({key} * 2) STORED"
    ),
    "children": "CREATE TABLE odd_child () INHERITS ({table})",
    "rule": "CREATE TABLE odd (n int); CREATE RULE odd AS ON UPDATE TO {table} DO ALSO INSERT INTO odd VALUES (1)",
    "deferred constraint": "ALTER TABLE {table} ADD UNIQUE ({key}, {column}) DEFERRABLE INITIALLY DEFERRED",
    "other schema": "CREATE SCHEMA odd; ALTER TABLE {table} SET SCHEMA odd; SET LOCAL search_path = odd, public",
    "replica identity": "ALTER TABLE {table} REPLICA IDENTITY FULL",
    "key of a domain": "CREATE DOMAIN odd AS bigint; ALTER TABLE {table} ALTER COLUMN {key} TYPE odd",
    "hundreds of columns": "ALTER TABLE {table} " + ", ".join(f"ADD COLUMN odd_{number} int" for number in range(1200)),
    "limits of the session": "SET LOCAL lock_timeout = '1ms'; SET LOCAL row_security = off",
    "formats of the session": (
        "SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL extra_float_digits = -15; SET LOCAL bytea_output = 'escape';"
        "SET LOCAL quote_all_identifiers = on; SET LOCAL transform_null_equals = on; SET LOCAL array_nulls = off"
    ),
    "strict functions": "SET LOCAL plpgsql.extra_errors = 'all'; SET LOCAL plpgsql.variable_conflict = 'use_column'",
    "hidden names": "CREATE TEMP TABLE outbox (kind text) ON COMMIT DROP; SET LOCAL search_path = pg_temp, public",
}
"""What the platform may do to a watched table, or to the session that writes to it."""

WRITTEN = """
SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


@pytest.mark.usefixtures("rows")
@tables
async def test_odd_table_fails_no_statement(connection: Any, watched: Watched) -> None:
    table, key, column = watched.table, watched.row_id, watched.columns.split()[0]
    # The tables share them, as the types above.
    for name in [*ODD_TABLES][WATCHED.index(watched) :: len(WATCHED)]:
        async with altered(connection, ODD_TABLES[name].format(table=table, key=key, column=column)):
            await connection.execute(f"UPDATE {table} SET {key} = {key} + 1000")
            updated = await changes(connection)
            written = await connection.fetchval(WRITTEN, table)
            await connection.execute(f"CREATE TEMP TABLE copy ON COMMIT DROP AS TABLE {table}")
            await connection.execute(f"DELETE FROM {table}")
            deleted = await changes(connection)
            await connection.execute(f"INSERT INTO {table} ({written}) SELECT {written} FROM copy")
            assert updated, name
            assert await changes(connection) == deleted <= updated, name
