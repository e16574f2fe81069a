"""Alembic environment: run the revisions on the connection that `migrations` opened."""

from alembic import context
from sqlalchemy import text

from schemas.tables import SCHEMA, Base

connection = context.config.attributes["connection"]

# Tables of the platform must not be created in our schema, which is first on the path of a role with its name.
WITHOUT_OURS = """
SELECT set_config('search_path', coalesce(string_agg(quote_ident(name), ', '), 'public'), false)
FROM unnest(current_schemas(false)) AS name WHERE name <> :ours
"""
connection.execute(text(WITHOUT_OURS).bindparams(ours=SCHEMA))

# The version table is in our schema: the platform may use Alembic too.
if not connection.scalar(text("SELECT to_regnamespace(:name)").bindparams(name=SCHEMA)):
    connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))

context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    version_table_schema=SCHEMA,
    transactional_ddl=False,
)
context.run_migrations()

if not context.get_context().get_current_heads():
    connection.execute(text(f"DROP TABLE IF EXISTS {SCHEMA}.alembic_version"))
    connection.execute(text(f"DROP SCHEMA {SCHEMA}"))
