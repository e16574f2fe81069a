"""Default times: UTC in whatever time zone a session has, as the platform's rule for stored times says.

Rows that were stored before stay as they are: nothing tells times by default from those that the platform set.
"""

from alembic import op

from migrations.steps import atomically
from schemas.tables import SCHEMA, Base

revision = "default_times"
down_revision = "indexes"

UTC_NOW = "timezone('utc'::text, now())"

PLAIN = {"CURRENT_TIMESTAMP", "now()", "LOCALTIMESTAMP"}
"""Defaults that become `UTC_NOW`; others are converted as they are."""

DEFAULTS = """
SELECT attrelid::regclass::text, quote_ident(attname), expression
FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
JOIN pg_type ON pg_type.oid = atttypid, pg_get_expr(adbin, adrelid) AS expression
WHERE adrelid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
  AND 'timestamp'::regtype IN (atttypid, typbasetype) AND attgenerated = ''
  AND expression ~* '((CURRENT_|LOCAL|\\m(clock|statement|transaction)_)TIMESTAMP\\M|\\mnow\\(\\)|''now''|timeofday)'
  AND expression !~* '(\\mtimezone\\(|AT TIME ZONE)'
ORDER BY 1, 2
"""
"""Columns whose default is the time in the zone of the session. An expression with a zone of its own is left alone."""


def upgrade() -> None:
    """Change defaults that depend on the zone. It may be that of the server, a database, a role or a client's driver,
    and may change later, so they are changed where all are UTC, too.
    """
    tables = [table.name for table in Base.metadata.sorted_tables if table.schema != SCHEMA]
    for table, column, expression in op.get_bind().exec_driver_sql(DEFAULTS, (tables,)).all():
        default = UTC_NOW if expression in PLAIN else f"timezone('utc', ({expression})::timestamptz)"
        atomically(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default};")


def downgrade() -> None:
    """Nothing: UTC is what every release reads, and some defaults may have been so before."""
