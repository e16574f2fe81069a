"""Triggers that do not fail when the platform drops or renames a column."""

from migrations.steps import atomically
from migrations.versions.r2_sync import WATCHED, triggers

revision = "columns"
down_revision = "queries"


def upgrade() -> None:
    for watched in WATCHED:
        atomically(triggers(watched))


def downgrade() -> None:
    """Keep the triggers: the release before works with them."""
