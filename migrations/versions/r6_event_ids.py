"""Event types: their sequences continue after the ids that earlier releases took past them."""

from migrations.steps import atomically, blocks, read_sql

revision = "event_ids"
down_revision = "types"


def upgrade() -> None:
    atomically(blocks(read_sql("r3_queries.sql"))["sequences"])


def downgrade() -> None:
    """Keep the sequences where they are: going back would only make the next insert collide."""
