"""Default times: UTC in databases with a time zone of their own, as the platform's rule for stored times says."""

from alembic import op

from migrations.steps import atomically
from schemas.tables import SCHEMA, Base

revision = "default_times"
down_revision = "indexes"

UTC_NOW = "timezone('utc'::text, now())"

ZONED = ["CURRENT_TIMESTAMP", "now()", "LOCALTIMESTAMP"]

HAS_OWN_ZONE = """
SELECT EXISTS (
    SELECT FROM pg_db_role_setting, unnest(setconfig) AS setting
    WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND setting ILIKE 'TimeZone=%' AND setting !~* '=(UTC|Etc/UTC|GMT)$'
)
"""

DEFAULTS = """
SELECT attrelid::regclass::text, quote_ident(attname)
FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
WHERE adrelid IN (SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
  AND atttypid = 'timestamp'::regtype AND pg_get_expr(adbin, adrelid) = any($2::text[])
ORDER BY 1, 2
"""


def upgrade() -> None:
    """Change defaults only where a database or role has a zone: elsewhere the platform's own are right."""
    if not op.get_bind().exec_driver_sql(HAS_OWN_ZONE).scalar_one():
        return
    tables = [table.name for table in Base.metadata.sorted_tables if table.schema != SCHEMA]
    for table, column in op.get_bind().exec_driver_sql(DEFAULTS, (tables, ZONED)).all():
        atomically(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {UTC_NOW};")


def downgrade() -> None:
    """Nothing: UTC is what every release reads, and some defaults may have been so before."""
