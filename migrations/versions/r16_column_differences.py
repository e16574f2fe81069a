"""Column differences: with which columns the documents were written, for workers that start after a change."""

from migrations.steps import atomically

revision = "column_differences"
down_revision = "conversions"

TABLE = "ALTER TABLE smarttrip.installation"


def upgrade() -> None:
    atomically(f"{TABLE} ADD COLUMN IF NOT EXISTS column_differences text NOT NULL DEFAULT '';")


def downgrade() -> None:
    atomically(f"{TABLE} DROP COLUMN IF EXISTS column_differences;")
