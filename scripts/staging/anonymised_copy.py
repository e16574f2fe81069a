"""Copy the platform's catalogue without persons from one database into another, which is empty.

Values are replaced by the source's own server, so that nothing about a person leaves it, and stream through this
process in slices.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
from sqlalchemy import Table

from core.concurrency.tasks import task_group
from core.configuration.postgres_url import parse_postgres_url
from core.postgres.connection import connect
from indexer.index.direct_url import is_same_database
from scripts.errors import CliError
from scripts.staging.copied_columns import TABLES
from scripts.staging.replacements import CopiedColumn, expression
from scripts.staging.target_schema import prepare

SLICES_IN_MEMORY = 8

COLUMNS = """
SELECT attname AS name, quote_ident(attname) AS identifier,
    CASE WHEN typname IN ('json', 'jsonb') THEN 'json' WHEN typcategory = 'S' THEN 'text' ELSE 'other' END AS category,
    EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND indisunique AND attnum = ANY (indkey)) AS is_unique
FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum
"""

SAMPLED = "abs(hashint8({id})::bigint) % 100 < {percent}"
SAMPLED_DEPARTURE = """(trip_occurrence_id IS NULL OR EXISTS (
    SELECT FROM trip_occurrences AS o WHERE o.id = trip_occurrence_id AND {in_sample}
))"""

SET_SEQUENCE = "SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table} HAVING max(id) IS NOT NULL"


async def copy_anonymised(source_url: str, target_url: str, percent: int) -> dict[str, int]:
    """Copy `percent` % of the templates and the rows that belong to them; return the number of rows by table.

    Companies, guides, countries, tags and types are copied whole. Raises: CliError, MigrationError, errors of Postgres.
    """
    if await is_same_database(source_url, target_url):
        raise CliError("The target is the database that is to be copied; name another one. Nothing was written.")
    source, target = [await connect(parse_postgres_url(url)) for url in (source_url, target_url)]
    try:
        async with source.transaction(isolation="repeatable_read", readonly=True):
            await prepare(source, target, target_url)
            async with target.transaction():
                return {table.name: await _copy_table(source, target, table, percent) for table in TABLES}
    finally:
        await target.close()
        await source.close()


async def _copy_table(
    source: "asyncpg.Connection[Any]", target: "asyncpg.Connection[Any]", table: Table, percent: int
) -> int:
    expressions = await _expressions(source, target, table.name)
    if not expressions:
        return 0
    columns = ", ".join(expressions.values())
    query = f"SELECT {columns} FROM {table.name} WHERE {_condition(table, percent)}"  # noqa: S608 -- names are quoted
    count = await _stream(source, target, table.name, query, list(expressions))
    if "id" in table.columns:
        await target.execute(SET_SEQUENCE.format(table=table.name))
    return count


async def _expressions(
    source: "asyncpg.Connection[Any]", target: "asyncpg.Connection[Any]", table: str
) -> dict[str, str]:
    """Return what is copied into each column of the target: of those that both have, and that are not left out."""
    found = {row["name"] for row in await source.fetch(COLUMNS, table)}
    columns = [CopiedColumn(table=table, **row) for row in await target.fetch(COLUMNS, table) if row["name"] in found]
    pairs = ((column.name, expression(column)) for column in columns)
    return {name: value for name, value in pairs if value is not None}


def _condition(table: Table, percent: int) -> str:
    """Return which rows belong to the sample of templates, so that each row's references are in it too."""
    if percent == 100 or not (table.name == "trip_templates" or "trip_template_id" in table.columns):
        return "true"
    own = SAMPLED.format(id="id" if table.name == "trip_templates" else "trip_template_id", percent=percent)
    if "trip_occurrence_id" not in table.columns:
        return own
    return f"{own} AND {SAMPLED_DEPARTURE.format(in_sample=SAMPLED.format(id='o.trip_template_id', percent=percent))}"


async def _stream(
    source: "asyncpg.Connection[Any]",
    target: "asyncpg.Connection[Any]",
    table: str,
    query: str,
    columns: Sequence[str],
) -> int:
    """Copy the rows of a query, slice by slice; return their number."""
    slices: asyncio.Queue[bytes | None] = asyncio.Queue(SLICES_IN_MEMORY)

    async def read() -> None:
        await source.copy_from_query(query, output=slices.put)
        await slices.put(None)

    async with task_group(asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as group:
        group.create_task(read())
        status = await target.copy_to_table(table, source=_until_none(slices), columns=columns)
    return int(status.removeprefix("COPY "))


async def _until_none(slices: "asyncio.Queue[bytes | None]") -> AsyncIterator[bytes]:
    while (piece := await slices.get()) is not None:
        yield piece
