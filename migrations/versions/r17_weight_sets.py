"""Weight sets: points of the rules, by name and version."""

from alembic import op

from migrations.steps import atomically

revision = "weight_sets"
down_revision = "column_differences"


def upgrade() -> None:
    atomically("""
CREATE TABLE IF NOT EXISTS smarttrip.weight_sets (
    name text NOT NULL,
    version integer NOT NULL,
    points jsonb NOT NULL,
    created_by text NOT NULL,
    comment text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT weight_sets_pkey PRIMARY KEY (name, version)
);
""")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS smarttrip.weight_sets")
