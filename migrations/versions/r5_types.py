"""Triggers that survive any column type and any key, and an outbox that holds bigint keys."""

from migrations.steps import atomically
from migrations.versions.r2_sync import WATCHED, triggers

revision = "types"
down_revision = "columns"

WIDEN = """
ALTER TABLE smarttrip.outbox ALTER COLUMN row_id TYPE bigint, ALTER COLUMN cursor TYPE bigint;
ALTER TABLE smarttrip.outbox_dead ALTER COLUMN row_id TYPE bigint;
"""


def upgrade() -> None:
    atomically(WIDEN)
    for watched in WATCHED:
        atomically(triggers(watched))


def downgrade() -> None:
    """Keep the wide columns and the triggers: the release before works with both."""
