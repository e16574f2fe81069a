"""Preflight: refuse a database that cannot be migrated before the first step, not half way."""

from sqlalchemy import text
from sqlalchemy.engine import Connection

from migrations.errors import MigrationError
from migrations.unwritable import find_unwritable
from schemas.tables import SCHEMA, Base

RELATION_KINDS = {"p": "a partitioned table", "v": "a view", "m": "a materialized view", "f": "a foreign table"}
"""Values of pg_class.relkind that triggers, concurrent index builds or unique keys of ours do not work on."""

UNSUPPORTED = text("""
SELECT relname, CASE WHEN relispartition THEN 'a partition' WHEN inhrelid IS NOT NULL THEN 'an inheritance child'
    ELSE relkind::text END
FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid
WHERE pg_class.oid IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name)
  AND (relkind <> 'r' OR inhrelid IS NOT NULL)
ORDER BY relname
""")

NOT_OURS = text("""
SELECT relname, pg_get_userbyid(relowner) FROM pg_class
WHERE oid IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name)
  AND NOT pg_has_role(relowner, 'USAGE')
ORDER BY relname
""")


def check_database(connection: Connection) -> None:
    """Raise MigrationError if the platform's tables are of a kind, an owner or a make with which we cannot work."""
    names = [table.name for table in Base.metadata.sorted_tables if table.schema != SCHEMA]
    for table, kind in connection.execute(UNSUPPORTED, {"names": names}):
        raise MigrationError(
            f"{table} is {RELATION_KINDS.get(kind, kind)}; only plain tables are supported. Nothing was changed."
        )
    for table, owner in connection.execute(NOT_OURS, {"names": names}):
        raise MigrationError(
            f"{table} belongs to {owner}; migrate as {owner} or as a member of that role. Nothing was changed."
        )
    for reason in find_unwritable(connection):
        raise MigrationError(f"{reason} Nothing was changed.")
