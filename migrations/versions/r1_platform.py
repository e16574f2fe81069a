"""The platform's own types and tables: used as they are where they exist, created where they are missing."""

from migrations.steps import atomically, blocks, exists, read_sql

revision = "platform"
down_revision = None


def upgrade() -> None:
    for file in ("r1_catalogue.sql", "r1_tracking.sql", "r1_analytics.sql"):
        for name, script in blocks(read_sql(file)).items():
            if not exists(name):
                atomically(script)


def downgrade() -> None:
    """Remove nothing: the tables hold the platform's rows."""
