"""Indexes for our queries, the event types of the contract, and a unique id of each event."""

from migrations.index_steps import create_index, drop_index
from migrations.steps import atomically, blocks, read_sql

revision = "queries"
down_revision = "sync"

INDEXES = {
    # Lists of departures, in their order.
    "ix_trip_occurrences_start": "INDEX ON trip_occurrences (start_date, id)",
    "ix_trip_occurrences_template_start": "INDEX ON trip_occurrences (trip_template_id, start_date, id)",
    "ix_trip_templates_active_title": "INDEX ON trip_templates (title, id) WHERE is_active",
    # From a changed row to the departures that contain it; some deployments of the platform lack these.
    "ix_trip_occurrences_guide": "INDEX ON trip_occurrences (guide_id)",
    "ix_trip_templates_company": "INDEX ON trip_templates (company_id)",
    "ix_trip_templates_country": "INDEX ON trip_templates (primary_country_id)",
    "ix_trip_templates_difficulty": "INDEX ON trip_templates (difficulty_level)",
    "ix_trip_templates_type": "INDEX ON trip_templates (trip_type_id)",
    "ix_trip_template_tags_tag": "INDEX ON trip_template_tags (tag_id)",
    "ix_trip_template_countries_country": "INDEX ON trip_template_countries (country_id)",
    # Each event is stored once.
    "ix_events_event_uuid": "UNIQUE INDEX ON events (event_uuid)",
}


def upgrade() -> None:
    scripts = blocks(read_sql("r3_queries.sql"))
    for name in ("column", "free_id", "categories", "types"):
        atomically(scripts[name])
    for name, definition in INDEXES.items():
        create_index(name, definition)


def downgrade() -> None:
    for name in INDEXES:
        drop_index(name)
    atomically(blocks(read_sql("r3_queries.sql"))["forget"])
