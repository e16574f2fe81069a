"""A role with the name of our schema: keep the schema off its search path.

Postgres puts a schema with the role's name first on its path ("$user"), so that the platform's unqualified
CREATE TABLE would land among our tables.
"""

from sqlalchemy import text
from sqlalchemy.engine import Connection

from migrations.errors import MigrationError
from schemas.tables import SCHEMA

HAS_OWN_PATH = text("""
SELECT EXISTS (
    SELECT FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole
    WHERE rolname = :role AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND EXISTS (SELECT FROM unnest(setconfig) AS setting WHERE setting LIKE 'search_path=%')
)
""")
ROLE_EXISTS = text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")
MAY_ALTER = text("""
SELECT current_user = :role OR rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user
""")
SET_PATH = """
DO $$ BEGIN
EXECUTE format('ALTER ROLE {role} IN DATABASE %I {action}', current_database());
END $$
"""


def keep_schema_off_path(connection: Connection) -> None:
    """Give the role a search path without "$user" in this database, unless it has one of its own.

    Raises MigrationError if there is such a role and this one may not alter it.
    """
    role = {"role": SCHEMA}
    if not connection.scalar(ROLE_EXISTS, role) or connection.scalar(HAS_OWN_PATH, role):
        return
    if not connection.scalar(MAY_ALTER, role):
        raise MigrationError(
            f"The role {SCHEMA} has our schema's name, so that its CREATE TABLE would land in there. "
            f"Run ALTER ROLE {SCHEMA} SET search_path = public, or migrate as {SCHEMA}. Nothing was changed."
        )
    connection.exec_driver_sql(SET_PATH.format(role=SCHEMA, action="SET search_path = public"))
