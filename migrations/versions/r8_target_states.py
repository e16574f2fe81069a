"""Registry of indexes: since when each is in its state, so that order and age count from being in use."""

from migrations.steps import atomically

revision = "target_states"
down_revision = "identity"


def upgrade() -> None:
    atomically("""
ALTER TABLE smarttrip.index_targets ADD COLUMN IF NOT EXISTS state_since timestamptz NOT NULL DEFAULT now();
UPDATE smarttrip.index_targets SET state_since = created_at;
""")


def downgrade() -> None:
    atomically("ALTER TABLE smarttrip.index_targets DROP COLUMN IF EXISTS state_since;")
