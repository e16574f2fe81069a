"""The triggers once more: those made before let the platform's writers fail when a column was dropped or renamed."""

from migrations.steps import atomically
from migrations.versions.r2_sync import WATCHED, triggers

revision = "columns"
down_revision = "queries"


def upgrade() -> None:
    for watched in WATCHED:
        atomically(triggers(watched))


def downgrade() -> None:
    """Those of this release do all that those of the one before did."""
