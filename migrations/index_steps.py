"""Indexes among the platform's own: compared by definition, built and dropped without blocking writers."""

import re

from alembic import op
from sqlalchemy.engine import Connection

from migrations.steps import MARK, exists

EQUAL_INDEXES = """
SELECT other.relname, coalesce(obj_description(other.oid) = $3, false)
FROM pg_index JOIN pg_class AS other ON other.oid = indexrelid
WHERE indrelid = to_regclass($1) AND indisvalid
  AND regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX .* USING ', '\\1') = any($2)
ORDER BY 2, 1
"""
"""Valid indexes of a table with one of the definitions, and whether they are ours; the platform's own come first."""

NORMALISE = """
SELECT regexp_replace(pg_get_indexdef('pg_temp.smarttrip_probe_index'::regclass), '^CREATE .* USING ', '')
"""


def create_index(name: str, definition: str) -> None:
    """Create an index such as `INDEX ON users (email)`, unless the table has an equal one under any name.

    It is built while writers go on; the build waits for their transactions as long as they take.
    """
    op.execute("SET lock_timeout = 0")
    # An interrupted build leaves an invalid index of the name behind.
    if not _is_valid(name):
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    if find_equal(op.get_bind(), definition):
        return
    if exists(name):
        # The platform uses the name for something else.
        name = alternative(name)
    op.execute(f"CREATE {definition.replace('INDEX', f'INDEX CONCURRENTLY IF NOT EXISTS {name}', 1)}")
    op.execute(f"COMMENT ON INDEX {name} IS '{MARK}'")


def drop_index(name: str) -> None:
    """Drop an index that we created; the platform's own stays."""
    op.execute("SET lock_timeout = 0")
    for own in (name, alternative(name)):
        if exists(own) and _scalar("SELECT obj_description($1::regclass)", own) == MARK:
            op.execute(f"DROP INDEX CONCURRENTLY {own}")


def drop_duplicate(name: str, definition: str) -> None:
    """Drop our index if the platform has an equal one."""
    equal = find_equal(op.get_bind(), definition)
    if any(not is_ours for _, is_ours in equal):
        drop_index(name)


def find_equal(connection: Connection, definition: str) -> list[tuple[str, bool]]:
    """Return the valid indexes that do what the definition says, and whether each is ours.

    A unique index does what one that is not unique does. Definitions are compared in the words of Postgres, which
    come from an index on an empty copy of the table.
    """
    found = re.match(r"(UNIQUE )?INDEX ON (\w+)", definition)
    assert found is not None, definition
    unique, table = found[1] or "", found[2]
    connection.exec_driver_sql("DROP TABLE IF EXISTS pg_temp.smarttrip_probe")
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE smarttrip_probe (LIKE {table})")
    copy = definition.replace(f"INDEX ON {table}", "INDEX smarttrip_probe_index ON pg_temp.smarttrip_probe", 1)
    connection.exec_driver_sql(f"CREATE {copy}")
    body = connection.exec_driver_sql(NORMALISE).scalar_one()
    connection.exec_driver_sql("DROP TABLE pg_temp.smarttrip_probe")
    accepted = ["UNIQUE " + body] if unique else [body, "UNIQUE " + body]
    return [(row[0], row[1]) for row in connection.exec_driver_sql(EQUAL_INDEXES, (table, accepted, MARK))]


def alternative(name: str) -> str:
    return f"{name}_smarttrip"


def _is_valid(name: str) -> bool:
    return bool(
        _scalar("SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)), true)", name)
    )


def _scalar(statement: str, name: str) -> object:
    return op.get_bind().exec_driver_sql(statement, (name,)).scalar()
