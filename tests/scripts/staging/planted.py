"""Plant a text in every column of every table, and find the columns of a database that have it."""

from collections.abc import Sequence

import asyncpg

from tests.conftest import plain

MARK = "zqmarkqz"
NUMBER = 471_147_471
"""Of a column that is not ours: it may be a telephone number."""

EXTRA = """
ALTER TABLE {table} ADD COLUMN extra_text text DEFAULT '{mark}', ADD COLUMN "Extra Quoted" varchar(40) DEFAULT '{mark}',
    ADD COLUMN extra_json jsonb DEFAULT '{{"{mark}": "{mark}"}}', ADD COLUMN extra_list jsonb DEFAULT '["{mark}"]',
    ADD COLUMN extra_plain_json json NOT NULL DEFAULT '"{mark}"', ADD COLUMN extra_texts text[] DEFAULT '{{{mark}}}',
    ADD COLUMN extra_number bigint NOT NULL DEFAULT {number}, ADD COLUMN extra_bytes bytea DEFAULT '{mark}',
    ADD COLUMN extra_words tsvector DEFAULT '{mark}', ADD COLUMN extra_day date DEFAULT '1971-04-07'
"""
"""Columns of many types, as a platform may have added them."""
EXTRA_COLUMNS = (
    *("extra_text", "Extra Quoted", "extra_json", "extra_list", "extra_plain_json"),
    *("extra_texts", "extra_number", "extra_bytes", "extra_words", "extra_day"),
)
WORDS = (MARK, str(NUMBER), "1971-04-07", "192.0.2.77", MARK.encode().hex())
"""What is planted, as Postgres prints it."""

TABLES = """
SELECT oid::regclass::text AS name, relname FROM pg_class
WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)' ORDER BY 1
"""
COLUMNS = """
SELECT quote_ident(attname) AS name, attname, typname, typcategory::text, nullif(atttypmod, -1) - 4 AS length
FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


async def add_extra_columns(url: str, tables: Sequence[str]) -> None:
    connection = await asyncpg.connect(plain(url))
    for table in tables:
        await connection.execute(EXTRA.format(table=table, mark=MARK, number=NUMBER))
    await connection.execute(f"CREATE TABLE extra AS SELECT '{MARK}'::text AS anything")
    await connection.close()


async def plant(url: str, tables: Sequence[str]) -> set[tuple[str, str]]:
    """Put a text into every column of the tables that takes one; return the columns that are long enough for it.

    Unique columns get a different text in each row.
    """
    connection = await asyncpg.connect(plain(url))
    planted = set()
    for table in tables:
        columns = await connection.fetch(COLUMNS, table)
        values = {row["name"]: value for row in columns if (value := _planted(row)) is not None}
        if values:
            await connection.execute(f"UPDATE {table} SET {', '.join(f'{name} = {v}' for name, v in values.items())}")
        planted |= {(table, row["attname"]) for row in columns if row["name"] in values and not _is_short(row)}
    await connection.close()
    return planted


def _planted(column: asyncpg.Record) -> str | None:
    """Return the SQL of a planted value; None for a column that takes no text."""
    if column["typname"] in ("json", "jsonb"):
        return f"""'{{"{MARK}": "{MARK}", "year": "{MARK}", "selected_continents": ["Asia", "{MARK}"]}}'"""
    if column["typname"] == "inet":
        return "'192.0.2.77'"
    if column["typcategory"] != "S":
        return None
    return f"left('{MARK}' || ctid::text, {column['length'] or 100})"


def _is_short(column: asyncpg.Record) -> bool:
    return column["length"] is not None and column["length"] < len(MARK)


async def columns_with(url: str, words: Sequence[str]) -> set[tuple[str, str]]:
    """Return table and column of every value in the whole database that contains one of the words."""
    connection = await asyncpg.connect(plain(url))
    found = set()
    for table in await connection.fetch(TABLES):
        for column in await connection.fetch(COLUMNS, table["name"]):
            query = f"SELECT EXISTS (SELECT FROM {table['name']} WHERE {column['name']}::text ~* $1)"
            if await connection.fetchval(query, "|".join(words)):
                found.add((table["relname"], column["attname"]))
    await connection.close()
    return found
