"""Create databases to migrate, and describe their schemas."""

from typing import Any

import asyncpg
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from schemas.tables import SCHEMA, Base
from tests.conftest import plain

ANALYTICS = ("recommendation_requests", "recommendation_metrics_daily", "evaluation_scenarios")

CATALOGUE_QUERIES = {
    "schemas": "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'",
    "columns": (
        "SELECT table_schema, table_name, column_name, udt_name, is_nullable, column_default,"
        " character_maximum_length, numeric_precision, numeric_scale FROM information_schema.columns"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    ),
    "constraints": (
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
        " AND contype <> 'n'"
    ),
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    "triggers": "SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace NOT IN"
    " ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)",
}


async def describe(url: str) -> dict[str, set[str]]:
    """Return the objects of the database by kind."""
    connection = await asyncpg.connect(plain(url))
    found = {
        kind: {repr(tuple(row)) for row in await connection.fetch(query)} for kind, query in CATALOGUE_QUERIES.items()
    }
    await connection.close()
    return found


async def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(plain(url))
    rows = [tuple(row) for row in await connection.fetch(query)]
    await connection.close()
    return rows


async def execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(plain(url))
    await connection.execute(script)
    await connection.close()


async def make_bare_tables(url: str) -> None:
    """Create the tables as another application's ORM does: no defaults, no analytics, only the unique indexes."""
    metadata = MetaData()
    for table in Base.metadata.sorted_tables:
        if table.schema == SCHEMA or table.name in ANALYTICS:
            continue
        bare = table.to_metadata(metadata)
        for column in bare.columns:
            column.server_default = None
        bare.indexes = {index for index in bare.indexes if index.unique and index.name != "ix_events_event_uuid"}
        if table.name == "events":
            bare._columns.remove(bare.c.event_uuid)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
