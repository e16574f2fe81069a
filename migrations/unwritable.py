"""Find what the platform has made of its tables by which no statement of ours can succeed, or some see too little."""

import json
from collections.abc import Iterable, Iterator

from sqlalchemy import Table, text
from sqlalchemy.engine import Connection

from schemas.tables import Base

WRITTEN = frozenset(
    {
        "events",
        "recommendation_metrics_daily",
        "recommendation_requests",
        "sessions",
        "trip_interactions",
        "users",
    }
)
"""The platform's tables that we write to; the others are read."""

RULES = text("""
SELECT name, rulename FROM unnest(CAST(:names AS text[])) AS name
JOIN pg_rewrite ON ev_class = to_regclass(name) AND ev_type IN ('2', '3') AND ev_enabled <> 'D'
WHERE (SELECT relkind FROM pg_class WHERE oid = ev_class) = 'r'
ORDER BY 1, 2
""")
"""Rules of updates and inserts."""

REQUIRED = text("""
SELECT name, attname FROM json_to_recordset(CAST(:tables AS json)) AS written (name text, ours text[])
JOIN pg_attribute ON attrelid = to_regclass(name) AND attnum > 0 AND NOT attisdropped AND attname <> ALL (ours)
JOIN pg_type ON pg_type.oid = atttypid
WHERE attnotnull AND NOT atthasdef AND attidentity = '' AND typdefault IS NULL
ORDER BY 1, 2
""")

HIDDEN = text("""
SELECT name FROM unnest(CAST(:names AS text[])) AS name
WHERE CASE WHEN to_regclass(name) IS NOT NULL THEN row_security_active(CAST(to_regclass(name) AS oid)) END
  AND NOT coalesce((
    SELECT bool_or(polpermissive AND pg_get_expr(polqual, polrelid) = 'true') AND bool_and(polpermissive)
    FROM pg_policy WHERE polrelid = to_regclass(name) AND polcmd IN ('r', '*')
      AND EXISTS (SELECT FROM unnest(polroles) AS role WHERE role = 0 OR pg_has_role(role, 'USAGE'))
  ), false)
ORDER BY 1
""")
"""Tables with row security for this role, unless a policy shows it every row and none restricts that."""


def find_unwritable(connection: Connection) -> Iterator[str]:
    """Yield why no insert of ours into a table of the platform can succeed."""
    columns = {name: [column.name for column in Base.metadata.tables[name].columns] for name in sorted(WRITTEN)}
    for table, rule in connection.execute(RULES, {"names": list(columns)}):
        yield f"The table {table} has the rule {rule}, with which INSERT ... ON CONFLICT fails; use a trigger."
    ours = json.dumps([{"name": name, "ours": names} for name, names in columns.items()])
    for table, column in connection.execute(REQUIRED, {"tables": ours}):
        yield f"The column {table}.{column} is NOT NULL without a default, and we do not fill it; give it a default."


def find_hidden(connection: Connection, tables: Iterable[Table]) -> Iterator[str]:
    """Yield tables of which row security may hide rows from this role."""
    for (table,) in connection.execute(HIDDEN, {"names": [table.fullname for table in tables]}):
        yield f"Row security of the table {table} applies to this role: rows that it hides count as deleted."
