"""Jobs: when each scheduled job last succeeded, failed and was claimed, by the clock of Postgres."""

from alembic import op

from migrations.steps import atomically

revision = "jobs"
down_revision = "default_times"


def upgrade() -> None:
    atomically("""
CREATE TABLE IF NOT EXISTS smarttrip.job_runs (
    name text NOT NULL,
    succeeded_at timestamptz,
    settled_at timestamptz NOT NULL DEFAULT now(),
    retry_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    claimed_until timestamptz,
    result bigint,
    CONSTRAINT job_runs_pkey PRIMARY KEY (name)
);
""")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS smarttrip.job_runs")
