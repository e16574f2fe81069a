"""Columns of the platform that change their name or type, and back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Column, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.sync import execute

CASTS = text("""
SELECT DISTINCT format_type(casttarget, NULL) FROM pg_cast JOIN pg_attribute ON atttypid = castsource
WHERE attrelid = to_regclass(:table) AND attname = :column ORDER BY 1
""")
TYPES = text("SELECT format_type(oid, NULL) FROM pg_type WHERE typtype = 'b' AND typelem = 0 ORDER BY typname")


async def types_to_convert_to(engine: AsyncEngine, column: Column[Any]) -> Sequence[str]:
    """Return the types that Postgres has a cast to, and those that any text can be."""
    async with engine.connect() as connection:
        names = {"table": column.table.name, "column": column.name}
        casts = (await connection.scalars(CASTS, names)).all()
        types = (await connection.scalars(TYPES)).all()
    return sorted({*casts, *types})


@asynccontextmanager
async def renamed(engine: AsyncEngine, *columns: Column[Any]) -> AsyncIterator[None]:
    """Rename columns in the block, as a migration of the platform would."""
    rename = "ALTER TABLE {} RENAME COLUMN {} TO {}"
    for column in columns:
        await execute(engine, rename.format(column.table.name, column.name, f"{column.name}_new"))
    try:
        yield
    finally:
        for column in columns:
            await execute(engine, rename.format(column.table.name, f"{column.name}_new", column.name))


@asynccontextmanager
async def stood_aside(engine: AsyncEngine, column: Column[Any]) -> AsyncIterator[None]:
    """Let another column have the name in the block: it has no index and no constraint, so any type suits it."""
    table, name = column.table.name, column.name
    await execute(engine, f"ALTER TABLE {table} RENAME {name} TO {name}_was")
    await execute(engine, f"ALTER TABLE {table} ADD {name} text")
    try:
        yield
    finally:
        await execute(engine, f"ALTER TABLE {table} DROP {name}")
        await execute(engine, f"ALTER TABLE {table} RENAME {name}_was TO {name}")


async def change_type(engine: AsyncEngine, column: Column[Any], type_name: str) -> bool:
    """Convert the values of a column that stands aside, by a cast or as text; return False if neither is possible."""
    was = f"{column.name}_was"
    for value in (f"CAST({was} AS {type_name})", f"CAST(CAST({was} AS text) AS {type_name})"):
        try:
            await execute(engine, f"ALTER TABLE {column.table.name} ALTER {column.name} TYPE {type_name} USING {value}")
        except DBAPIError:
            continue
        return True
    return False


async def keeps_values(engine: AsyncEngine, column: Column[Any]) -> bool:
    """Return whether the values are as before if they are converted back, by a cast or as text."""
    name, table = column.name, column.table.name
    find_type = f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass('{table}')"
    async with engine.connect() as connection:
        original = await connection.scalar(text(f"{find_type} AND attname = '{name}_was'"))
    for value in (f"CAST({name} AS {original})", f"CAST(CAST({name} AS text) AS {original})"):
        try:
            async with engine.connect() as connection:
                same = text(f"SELECT bool_and({value} IS NOT DISTINCT FROM {name}_was) FROM {table}")
                return bool(await connection.scalar(same))
        except DBAPIError:
            continue
    return False
