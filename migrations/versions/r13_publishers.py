"""Publishers: which processes may have committed changes that caches were not notified of yet."""

from alembic import op

from migrations.steps import atomically

revision = "publishers"
down_revision = "jobs"


def upgrade() -> None:
    atomically("""
CREATE TABLE IF NOT EXISTS smarttrip.publishers (
    id uuid NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT publishers_pkey PRIMARY KEY (id)
);
""")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS smarttrip.publishers")
