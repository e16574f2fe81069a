"""Indexes among the platform's own: compared by definition, built and dropped without blocking writers."""

import re
from collections.abc import Mapping

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from migrations.steps import MARK, bind, exists

DEFINITION = re.compile(r"(?P<unique>UNIQUE )?INDEX ON (?P<table>\w+) \((?P<keys>.+?)\)(?: WHERE (?P<condition>.+))?")

CANDIDATES = """
SELECT other.relname, coalesce(obj_description(other.oid) = $2, false),
  indisunique AND indpred IS NULL AND indnkeyatts = 1,
  regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX .* USING ', 'USING ')
FROM pg_index JOIN pg_class AS other ON other.oid = indexrelid
WHERE indrelid = to_regclass($1) AND indisvalid
  AND pg_get_indexdef(indexrelid, 1, true) = pg_get_indexdef('pg_temp.smarttrip_probe_index'::regclass, 1, true)
ORDER BY 2, 1
"""
"""Valid indexes of a table that begin with the same column: whether each is ours, and makes that column unique; the
platform's own come first."""

INCOMPARABLE = ("42703", "42P01", "42501")
"""SQLSTATE where the table of an index, a column of it or the right to read it is missing, which is told by itself."""

ONLY_INDEXES = ("enable_seqscan", "enable_bitmapscan", "enable_sort")
"""Settings of the planner without which it uses an index wherever it can."""


def create_index(name: str, definition: str) -> None:
    """Create an index such as `INDEX ON users (email)`, unless the table has an equal one under any name.

    It is built while writers go on; the build waits for their transactions as long as they take.
    """
    bind().exec_driver_sql("SET lock_timeout = 0")
    # An interrupted build leaves an invalid index of the name behind.
    if not _is_valid(name):
        bind().exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    if find_equal(bind(), definition):
        return
    if exists(name):
        # The platform uses the name for something else.
        name = alternative(name)
    bind().exec_driver_sql(f"CREATE {definition.replace('INDEX', f'INDEX CONCURRENTLY IF NOT EXISTS {name}', 1)}")
    bind().exec_driver_sql(f"COMMENT ON INDEX {name} IS '{MARK}'")


def create_missing(connection: Connection, indexes: Mapping[str, str]) -> None:
    """Create indexes, by name, that somebody dropped after their revision was applied.

    One whose table or column the platform has dropped is left out; the comparison names those.
    """
    from alembic.migration import MigrationContext  # noqa: PLC0415  # not in processes that only compare
    from alembic.operations import Operations  # noqa: PLC0415

    with Operations.context(MigrationContext.configure(connection)):
        for name, definition in indexes.items():
            try:
                create_index(name, definition)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in INCOMPARABLE:
                    raise


def drop_index(name: str) -> None:
    """Drop an index that we created; the platform's own stays."""
    bind().exec_driver_sql("SET lock_timeout = 0")
    for own in (name, alternative(name)):
        if exists(own) and _scalar("SELECT obj_description($1::regclass)", own) == MARK:
            bind().exec_driver_sql(f"DROP INDEX CONCURRENTLY {own}")


def drop_duplicate(name: str, definition: str) -> None:
    """Drop our index if the platform has an equal one."""
    equal = find_equal(bind(), definition)
    if any(not is_ours for _, is_ours in equal):
        drop_index(name)


def find_equal(connection: Connection, definition: str) -> list[tuple[str, bool]]:
    """Return the valid indexes that do what the definition says, and whether each is ours.

    Postgres says whether: a copy of the index, on an empty copy of the table, must serve the condition and the order of
    the definition entirely. So a condition may be written in another way, and there may be further columns.
    """
    wanted = DEFINITION.fullmatch(definition)
    assert wanted is not None, definition
    connection.exec_driver_sql("DROP TABLE IF EXISTS pg_temp.smarttrip_probe")
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE smarttrip_probe (LIKE {wanted['table']})")
    connection.exec_driver_sql(f"CREATE INDEX smarttrip_probe_index ON pg_temp.smarttrip_probe ({wanted['keys']})")
    candidates = connection.exec_driver_sql(CANDIDATES, (wanted["table"], MARK)).all()
    connection.exec_driver_sql("DROP INDEX pg_temp.smarttrip_probe_index")
    serving = [
        (name, is_ours)
        for name, is_ours, is_unique, method in candidates
        if (is_unique or not wanted["unique"]) and _serves(connection, method, _query(wanted))
    ]
    connection.exec_driver_sql("DROP TABLE pg_temp.smarttrip_probe")
    return serving


def _query(wanted: re.Match[str]) -> str:
    condition = f"WHERE {wanted['condition']}" if wanted["condition"] else ""
    return f"EXPLAIN (COSTS OFF) SELECT FROM pg_temp.smarttrip_probe {condition} ORDER BY {wanted['keys']}"


def _serves(connection: Connection, method: str, query: str) -> bool:
    """Return whether an index with this method and columns, alone, serves the query with nothing left to be done."""
    connection.exec_driver_sql(f"CREATE INDEX smarttrip_probe_index ON pg_temp.smarttrip_probe {method}")
    for setting in ONLY_INDEXES:
        connection.exec_driver_sql(f"SET {setting} = off")
    plan = connection.exec_driver_sql(query).scalars().all()
    for setting in ONLY_INDEXES:
        connection.exec_driver_sql(f"RESET {setting}")
    connection.exec_driver_sql("DROP INDEX pg_temp.smarttrip_probe_index")
    return plan[0].startswith("Index") and not any("Filter:" in line for line in plan)


def alternative(name: str) -> str:
    return f"{name}_smarttrip"


def _is_valid(name: str) -> bool:
    return bool(
        _scalar("SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)), true)", name)
    )


def _scalar(statement: str, name: str) -> object:
    return bind().exec_driver_sql(statement, (name,)).scalar()
