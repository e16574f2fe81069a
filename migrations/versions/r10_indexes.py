"""Indexes once more, by definition: one for difficulty is added, duplicates of the platform's own are dropped."""

from migrations.index_steps import create_index, drop_duplicate
from migrations.versions.r3_queries import INDEXES

revision = "indexes"
down_revision = "document_versions"


def upgrade() -> None:
    for name, definition in INDEXES.items():
        create_index(name, definition)
        drop_duplicate(name, definition)


def downgrade() -> None:
    """Nothing: the revision `queries` drops them."""
