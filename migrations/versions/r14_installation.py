"""Installation: a random id by which Redis and Elasticsearch are recognized as this installation's."""

from alembic import op

from migrations.steps import atomically

revision = "installation"
down_revision = "publishers"


def upgrade() -> None:
    atomically("""
CREATE TABLE IF NOT EXISTS smarttrip.installation (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT installation_pkey PRIMARY KEY (id)
);
INSERT INTO smarttrip.installation (id) SELECT gen_random_uuid()
WHERE NOT EXISTS (SELECT FROM smarttrip.installation);
""")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS smarttrip.installation")
