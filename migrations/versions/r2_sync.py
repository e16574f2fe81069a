"""The outbox, and the triggers that leave a row in it for each change that a document or an answer shows."""

from typing import NamedTuple

from migrations.steps import atomically, read_sql

revision = "sync"
down_revision = "platform"


class Watched(NamedTuple):
    table: str
    kind: str
    columns: str
    """What is shown of a row. updated_at is, too: platform ORMs touch it with each save, and answers carry it."""
    row_id: str = "id"
    key: str = "id"


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
    Watched("trip_template_tags", "template", "tag_id", "trip_template_id", "trip_template_id, tag_id"),
    Watched(
        "trip_template_countries",
        "template",
        "country_id visit_order",
        "trip_template_id",
        "trip_template_id, country_id",
    ),
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


EVENTS = {
    "insert": "REFERENCING NEW TABLE AS new_rows",
    "update": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "REFERENCING OLD TABLE AS old_rows",
    "truncate": "",
}


def triggers(watched: Watched) -> str:
    template = read_sql("r2_trigger.sql")
    return "\n".join(
        template.format(
            table=watched.table,
            event=event,
            kind="all" if event == "truncate" else watched.kind,
            distinct="" if watched.row_id == watched.key else "DISTINCT",
            row_id="NULL::integer" if event == "truncate" else watched.row_id,
            changed=_changed(watched, event),
            referencing=referencing,
        )
        for event, referencing in EVENTS.items()
    )


def _changed(watched: Watched, event: str) -> str:
    if event == "truncate":
        return "(VALUES (true)) AS once"
    if event != "update":
        return "new_rows" if event == "insert" else "old_rows"
    before, after = (", ".join(f"{rows}.{column}" for column in watched.columns.split()) for rows in ("o", "n"))
    # A changed key finds no partner, so that both the old and the new one are among the results. And a full join is
    # never a nested loop: the plan that a session keeps from updates of one row is right for ten thousand, too.
    return (
        f"old_rows AS o FULL JOIN new_rows AS n USING ({watched.key})\n"
        f"    WHERE ROW({before}) IS DISTINCT FROM ROW({after})"
    )


def _drop(table: str, event: str) -> str:
    return f"DROP TRIGGER IF EXISTS smarttrip_{event} ON {table};DROP FUNCTION IF EXISTS smarttrip.{table}_{event}();"
