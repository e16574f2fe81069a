"""The outbox, and the triggers that add a row to it for each change that a document or a response contains."""

from typing import NamedTuple

from migrations.steps import atomically, blocks, read_sql

revision = "sync"
down_revision = "platform"


class Watched(NamedTuple):
    table: str
    kind: str
    columns: str
    """Columns that responses contain; updated_at is one of them, and ORMs of the platform set it with each save."""
    row_id: str = "id"


NAMES = "name name_he description created_at updated_at"

WATCHED = (
    Watched(
        "trip_occurrences",
        "occurrence",
        "trip_template_id guide_id start_date end_date price_override single_supplement_override max_capacity_override "
        "spots_left status image_url_override notes notes_he properties created_at updated_at",
    ),
    Watched(
        "trip_templates",
        "template",
        "title title_he description description_he short_description short_description_he image_url base_price "
        "single_supplement_price typical_duration_days default_max_capacity difficulty_level company_id trip_type_id "
        "primary_country_id is_active properties created_at updated_at",
    ),
    Watched("trip_template_tags", "template", "tag_id", "trip_template_id"),
    Watched("trip_template_countries", "template", "country_id visit_order", "trip_template_id"),
    Watched(
        "companies",
        "company",
        "name name_he description description_he logo_url website_url email phone address is_active created_at "
        "updated_at",
    ),
    Watched(
        "guides",
        "guide",
        "name name_he email phone gender age bio bio_he image_url is_active created_at updated_at",
    ),
    Watched("countries", "country", "name name_he continent created_at updated_at"),
    Watched("tags", "tag", NAMES),
    Watched("trip_types", "type", NAMES),
)


def upgrade() -> None:
    atomically(read_sql("r2_sync.sql"))
    for watched in WATCHED:
        atomically(triggers(watched))


def downgrade() -> None:
    for watched in WATCHED:
        atomically("\n".join(_drop(watched.table, event) for event in EVENTS))
    atomically(
        "DROP TABLE IF EXISTS smarttrip.outbox, smarttrip.outbox_dead, smarttrip.event_dead, smarttrip.index_targets;"
        "DROP SEQUENCE IF EXISTS smarttrip.index_version;"
    )


class Event(NamedTuple):
    scope: str
    body: str


# Updates are mostly of single rows: a row trigger makes these 8 to 11 % slower, transition tables 17 %. An update of
# ten thousand rows in one statement becomes 48 % slower with a row trigger, and 25 % with transition tables.
# No trigger notifies: commits with NOTIFY wait for each other (8 writers reached a twelfth of their throughput), and
# waking a listener nearly doubles the time of a single-row update.
EVENTS = {
    "insert": Event("REFERENCING NEW TABLE AS written FOR EACH STATEMENT", "written"),
    "update": Event("FOR EACH ROW", "changed"),
    "delete": Event("REFERENCING OLD TABLE AS written FOR EACH STATEMENT", "written"),
    "truncate": Event("FOR EACH STATEMENT", "emptied"),
}


def triggers(watched: Watched) -> str:
    parts = blocks(read_sql("r2_trigger.sql"))
    values = {
        **watched._asdict(),
        "distinct": "" if watched.row_id == "id" else "DISTINCT",
        "everything": "all" if watched.kind == "occurrence" else watched.kind,
        "old": ", ".join(f"OLD.{column}" for column in _compared_columns(watched)),
        "new": ", ".join(f"NEW.{column}" for column in _compared_columns(watched)),
    }
    return "".join(
        (parts["function"] + parts["trigger"]).format(
            **values, event=name, scope=event.scope, body=parts[event.body].format(**values).strip()
        )
        for name, event in EVENTS.items()
    )


def _compared_columns(watched: Watched) -> list[str]:
    return [watched.row_id, *watched.columns.split()]


def _drop(table: str, event: str) -> str:
    return f"DROP TRIGGER IF EXISTS smarttrip_{event} ON {table};DROP FUNCTION IF EXISTS smarttrip.{table}_{event}();"
