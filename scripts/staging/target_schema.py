"""The tables of the database that takes the copy: those of the first revision, with the source's further columns."""

import asyncio
from typing import Any

import asyncpg

import migrations
from core.postgres.session_settings import quote
from scripts.errors import CliError
from scripts.staging.copied_columns import TABLES

FILLED_BY_MIGRATIONS = ("event_categories", "event_types", "installation", "alembic_version")

FIRST_REVISION = "platform"
"""It creates the platform's tables: what follows is migrated with rows in them, as in production."""

STORED_TABLES = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
  AND relname <> ALL ($1) AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
ORDER BY 1
"""
"""Tables that may have rows of somebody; those of extensions do not count."""

COLUMNS = """
SELECT name, quote_ident(attname) AS identifier, format_type(atttypid, atttypmod) AS type
FROM unnest($1::text[]) AS name JOIN pg_attribute ON attrelid = to_regclass(name)
WHERE attnum > 0 AND NOT attisdropped
"""

LABELS = """
SELECT DISTINCT enumtypid::regtype::text AS type, enumlabel AS label
FROM pg_enum JOIN pg_attribute ON atttypid = enumtypid WHERE attrelid = ANY ($1::text[]::regclass[])
"""

NAMES = [table.name for table in TABLES]


async def prepare(source: "asyncpg.Connection[Any]", target: "asyncpg.Connection[Any]", target_url: str) -> None:
    """Create the tables in a target without rows. Raises: CliError, MigrationError."""
    await check_empty(target)
    await asyncio.to_thread(migrations.upgrade, target_url, FIRST_REVISION)
    await _add_labels(source, target)
    await _add_columns(source, target)


async def check_empty(target: "asyncpg.Connection[Any]") -> None:
    """Raise CliError if a table has rows that no migration has made."""
    for row in await target.fetch(STORED_TABLES, FILLED_BY_MIGRATIONS):
        if await target.fetchval(f"SELECT EXISTS (SELECT FROM {row[0]})"):  # noqa: S608 -- quoted by regclass
            raise CliError(f"The target should be an empty database; its table {row[0]} has rows. Nothing was written.")


async def _add_columns(source: "asyncpg.Connection[Any]", target: "asyncpg.Connection[Any]") -> None:
    """Add the columns that only the source has, without their defaults, where the target knows the type."""
    known = {(row["name"], row["identifier"]) for row in await target.fetch(COLUMNS, NAMES)}
    for name, column, type_name in await source.fetch(COLUMNS, NAMES):
        if (name, column) not in known and await target.fetchval("SELECT to_regtype($1) IS NOT NULL", type_name):
            await target.execute(f"ALTER TABLE {name} ADD COLUMN {column} {type_name}")


async def _add_labels(source: "asyncpg.Connection[Any]", target: "asyncpg.Connection[Any]") -> None:
    """Add the labels of enumerations that only the source has."""
    existing = await source.fetchval(
        "SELECT array_agg(n) FROM unnest($1::text[]) n WHERE to_regclass(n) IS NOT NULL", NAMES
    )
    known = {tuple(row) for row in await target.fetch(LABELS, NAMES)}
    types = {type_name for type_name, _ in known}
    for type_name, label in await source.fetch(LABELS, existing or []):
        if type_name in types and (type_name, label) not in known:
            await target.execute(f"ALTER TYPE {type_name} ADD VALUE {quote(label)}")
