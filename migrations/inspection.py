"""Compare a database with what the code needs: tables, columns, types, triggers, indexes and rights."""

import json
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Column, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from migrations.index_steps import INCOMPARABLE, find_equal
from migrations.unwritable import WRITTEN, find_hidden, find_unwritable
from migrations.versions import r3_queries, r7_identity
from migrations.versions.r2_sync import EVENTS, WATCHED
from schemas.tables import SCHEMA, Base

TABLES_NEEDED: Sequence[Table] = Base.metadata.sorted_tables

PLATFORM_INDEXES = {**r3_queries.INDEXES, **r7_identity.INDEXES}
"""Indexes that we need on the platform's tables, by the names that ours get."""
OWN_INDEXES = [index for table in TABLES_NEEDED if table.schema == SCHEMA for index in table.indexes]
"""Indexes of our own tables, besides those of keys."""

TABLES = text("""
SELECT name, to_regclass(name) IS NOT NULL AS found, coalesce(string_agg(kind, ', ')
    FILTER (WHERE NOT has_table_privilege(to_regclass(name), kind)), '') AS lacking
FROM json_to_recordset(CAST(:tables AS json)) AS needed (name text, kinds text[]), unnest(kinds) AS kind
GROUP BY name ORDER BY name
""")

COLUMNS = text("""
SELECT needed.table_name, needed.column_name, needed.type_name, format_type(atttypid, atttypmod) AS found,
    attnum IS NOT NULL AND to_regtype(type_name) IS NOT NULL AND actual.typcategory = expected.typcategory AS fits
FROM json_to_recordset(CAST(:columns AS json)) AS needed (table_name text, column_name text, type_name text)
LEFT JOIN pg_attribute ON attrelid = to_regclass(table_name) AND attname = column_name AND NOT attisdropped
LEFT JOIN pg_type AS actual ON actual.oid = atttypid
LEFT JOIN pg_type AS expected ON expected.oid = to_regtype(type_name)
WHERE to_regclass(table_name) IS NOT NULL
ORDER BY 1, 2
""")
"""Columns that are needed; a type fits if it is of the same category, such as bigint for integer."""

TRIGGERS = text("""
SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgname LIKE 'smarttrip\\_%' AND tgenabled IN ('O', 'A')
""")

EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def find_differences(connection: Connection) -> list[str]:
    """Return each difference as a sentence. Run it in a transaction that is rolled back."""
    missing = set[str]()
    return [
        *_table_differences(connection, missing),
        *_column_differences(connection),
        *find_unwritable(connection),
        *find_hidden(connection, TABLES_NEEDED),
        *_trigger_differences(connection, missing),
        *_index_differences(connection, missing),
    ]


def find_obstacles(connection: Connection) -> list[str]:
    """Return what keeps the release from working at all: tables of ours that are missing, or that it may not use."""
    return list(_table_differences(connection, set(), [table for table in TABLES_NEEDED if table.schema == SCHEMA]))


def _table_differences(
    connection: Connection, missing: set[str], tables: Sequence[Table] = TABLES_NEEDED
) -> Iterator[str]:
    """Yield missing tables, which are added to `missing`, and missing rights."""
    needed = [{"name": table.fullname, "kinds": _rights(table.name, table.schema)} for table in tables]
    for name, found, lacking in connection.execute(TABLES, {"tables": json.dumps(needed)}):
        if not found:
            missing.add(name)
            yield f"The table {name} is missing, or this role may not see it."
        elif lacking:
            yield f"This role lacks rights on the table {name}: {lacking}."


def _rights(table: str, schema: str | None) -> list[str]:
    return ["SELECT", "INSERT", "UPDATE", "DELETE"] if schema == SCHEMA or table in WRITTEN else ["SELECT"]


def _column_differences(connection: Connection) -> Iterator[str]:
    needed = [
        {"table_name": table.fullname, "column_name": column.name, "type_name": _type_name(column)}
        for table in TABLES_NEEDED
        for column in table.columns
    ]
    for table, column, expected, found, fits in connection.execute(COLUMNS, {"columns": json.dumps(needed)}):
        if found is None:
            yield f"The column {table}.{column} is missing; it should be of the type {expected}."
        elif not fits:
            yield f"The column {table}.{column} is of the type {found}; it should be {expected}."


def _type_name(column: Column[object]) -> str:
    return column.type.compile(DIALECT).lower()


def _trigger_differences(connection: Connection, missing: Iterable[str]) -> Iterator[str]:
    found = {tuple(row) for row in connection.execute(TRIGGERS)}
    for watched in WATCHED:
        for event in EVENTS:
            if watched.table not in missing and (watched.table, f"smarttrip_{event}") not in found:
                yield f"The trigger smarttrip_{event} of {watched.table} is missing or disabled: changes are not seen."


def _index_differences(connection: Connection, missing: Iterable[str]) -> Iterator[str]:
    for definition in PLATFORM_INDEXES.values():
        if definition.split(" ON ")[1].split(" ")[0] in missing:
            continue
        savepoint = connection.begin_nested()
        try:
            found = find_equal(connection, definition)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in INCOMPARABLE:
                raise
            continue
        finally:
            savepoint.rollback()
        if not found:
            yield f"An index is missing, without which queries are slow: CREATE {definition}. Run: smarttrip migrate."
    for index in OWN_INDEXES:
        assert index.table is not None
        if index.table.fullname not in missing and not connection.scalar(EXISTS, {"name": f"{SCHEMA}.{index.name}"}):
            yield f"The index {SCHEMA}.{index.name} is missing; run: smarttrip migrate."
