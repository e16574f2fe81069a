import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

import migrations
from migrations import steps
from schemas.tables import SCHEMA, Base
from tests.conftest import plain
from tests.migrations.databases import ANALYTICS, describe, execute, fetch

LATEST = ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()

CONTRACT_TYPES = {
    "navigation": "page_view",
    "search": "search_submit results_view filter_change filter_removed sort_change",
    "engagement": "impression click_trip trip_view trip_dwell_time scroll_depth",
    "conversion": "save_trip unsave_trip contact_whatsapp contact_phone booking_start share_trip",
}

COMPANY = "INSERT INTO companies VALUES (1, 'A', 'א', {}, true, now(), now())".format(", ".join(["NULL"] * 7))
TEMPLATE = (
    "INSERT INTO trip_templates (id, title, title_he, description, description_he, base_price, typical_duration_days,"
    " default_max_capacity, difficulty_level, company_id, is_active, created_at, updated_at)"
    " VALUES (1, 'A', 'א', 'A', 'א', 10, 10, 20, 2, 1, true, now(), now())"
)
OCCURRENCE = (
    "INSERT INTO trip_occurrences (id, trip_template_id, start_date, end_date, spots_left, status, created_at,"
    " updated_at) VALUES (1, 1, '2027-01-01', '2027-01-09', 4, 'Open', now(), now())"
)


async def upgrade(url: str, revision: str = "head") -> None:
    await asyncio.to_thread(migrations.upgrade, url, revision)


async def downgrade(url: str, revision: str = "base") -> None:
    await asyncio.to_thread(migrations.downgrade, url, revision)


async def test_empty_database_is_migrated_to_the_models(empty_url: str) -> None:
    await upgrade(empty_url)

    def differences(connection: Connection) -> list[Any]:
        options = {
            "compare_server_default": True,
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name in (None, SCHEMA),
            "version_table_schema": SCHEMA,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))

    engine = create_async_engine(empty_url, connect_args={"server_settings": {"search_path": "public"}})
    async with engine.connect() as connection:
        # Some of our own indexes serve our queries and are no part of the models.
        found = {str(difference[1].name) for difference in await connection.run_sync(differences)}
    await engine.dispose()
    assert found == {
        "ix_trip_occurrences_start",
        "ix_trip_occurrences_template_start",
        "ix_trip_templates_active_title",
    }


async def test_second_upgrade_changes_nothing(empty_url: str) -> None:
    await upgrade(empty_url)
    once = await describe(empty_url)
    await upgrade(empty_url)
    assert await describe(empty_url) == once


async def test_existing_tables_are_adopted_unchanged(platform_url: str) -> None:
    before = await describe(platform_url)
    await upgrade(platform_url)
    after = await describe(platform_url)
    assert before["constraints"] <= after["constraints"]
    assert before["columns"] <= after["columns"]
    added = {row for row in after["columns"] - before["columns"] if f"'{SCHEMA}'" not in row}
    assert {row.split("', '")[1] for row in added} == {*ANALYTICS, "events"}
    assert [row.split("', '")[2] for row in added if "'events'" in row] == ["event_uuid"]


async def test_changes_in_adopted_tables_are_recorded(platform_url: str) -> None:
    await execute(platform_url, f"{COMPANY}; {TEMPLATE}; {OCCURRENCE}")
    await upgrade(platform_url)
    await execute(platform_url, "UPDATE trip_occurrences SET spots_left = 3")
    assert await fetch(platform_url, "SELECT kind, row_id FROM smarttrip.outbox") == [("occurrence", 1)]


async def test_created_database_survives_down_and_up(empty_url: str) -> None:
    await upgrade(empty_url)
    upgraded = await describe(empty_url)
    await downgrade(empty_url)
    await upgrade(empty_url, "platform")
    await downgrade(empty_url)
    await upgrade(empty_url)
    assert await describe(empty_url) == upgraded


async def test_adopted_database_survives_down_and_up(platform_url: str) -> None:
    await upgrade(platform_url)
    upgraded = await describe(platform_url)
    await downgrade(platform_url, "sync")
    await downgrade(platform_url, "platform")
    await downgrade(platform_url)
    await upgrade(platform_url)
    assert await describe(platform_url) == upgraded


async def test_downgrade_removes_only_own_objects(platform_url: str) -> None:
    await execute(
        platform_url,
        f"{COMPANY}; {TEMPLATE}; {OCCURRENCE}; CREATE INDEX ix_trip_occurrences_guide ON trip_occurrences (guide_id);"
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('theirs');"
        "CREATE TABLE trips_backup_v2 (id integer);"
        "INSERT INTO event_categories VALUES (9, 'search', 'חיפוש', NULL, now())",
    )
    before = await describe(platform_url)
    await upgrade(platform_url)
    await downgrade(platform_url)
    after = await describe(platform_url)
    analytics_only = {row for sort in after for row in after[sort] - before[sort]}
    assert all(any(table in row for table in ANALYTICS) for row in analytics_only)
    assert all(before[sort] <= after[sort] for sort in before)
    assert await fetch(platform_url, "SELECT count(*) FROM trip_occurrences") == [(1,)]
    assert await fetch(platform_url, "SELECT version_num FROM alembic_version") == [("theirs",)]
    assert await fetch(platform_url, "SELECT name FROM event_categories") == [("search",)]
    assert await fetch(platform_url, "SELECT name FROM event_types") == []


async def test_referenced_event_types_survive_a_downgrade(empty_url: str) -> None:
    await upgrade(empty_url)
    await execute(
        empty_url,
        "INSERT INTO events (session_id, anonymous_id, event_type_id)"
        " SELECT gen_random_uuid(), gen_random_uuid(), id FROM event_types WHERE name = 'trip_view'",
    )
    await downgrade(empty_url)
    assert await fetch(empty_url, "SELECT name FROM event_types") == [("trip_view",)]


async def test_missing_event_types_are_added_by_name(platform_url: str) -> None:
    await execute(
        platform_url,
        "INSERT INTO event_categories VALUES (9, 'search', 'חיפוש', 'theirs', now());"
        "INSERT INTO event_types VALUES (40, 'page_view', 'צפייה', 9, 'theirs', now())",
    )
    await upgrade(platform_url)
    query = (
        "SELECT c.name, t.name FROM event_types t JOIN event_categories c ON c.id = t.category_id"
        " WHERE t.description IS DISTINCT FROM 'theirs'"
    )
    expected = {(category, name) for category, names in CONTRACT_TYPES.items() for name in names.split()}
    assert set(await fetch(platform_url, query)) == expected - {("navigation", "page_view")}
    assert await fetch(platform_url, "SELECT id, category_id FROM event_types WHERE name = 'page_view'") == [(40, 9)]
    assert await fetch(platform_url, "SELECT id FROM event_categories WHERE name = 'search'") == [(9,)]


async def test_concurrent_upgrades_succeed(empty_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_url) for _ in range(3)))
    assert await fetch(empty_url, "SELECT version_num FROM smarttrip.alembic_version") == [(LATEST,)]


async def test_invalid_index_is_rebuilt(platform_url: str) -> None:
    await execute(
        platform_url,
        "CREATE INDEX ix_trip_occurrences_start ON trip_occurrences (start_date, id);"
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_trip_occurrences_start'::regclass",
    )
    await upgrade(platform_url)
    assert await fetch(platform_url, "SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []


async def test_waiting_migration_does_not_block_writers(platform_url: str) -> None:
    await execute(platform_url, f"{COMPANY}; {TEMPLATE}; {OCCURRENCE}; {OCCURRENCE.replace('(1, 1', '(2, 1')}")
    slow, quick = await asyncpg.connect(plain(platform_url)), await asyncpg.connect(plain(platform_url))
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("UPDATE trip_occurrences SET spots_left = 9 WHERE id = 1")
    migration = asyncio.create_task(upgrade(platform_url))
    await quick.execute("SET statement_timeout = '1s'")
    for spots in range(200):
        await quick.execute("UPDATE trip_occurrences SET spots_left = $1 WHERE id = 2", spots)
        await asyncio.sleep(0.005)
    assert not migration.done()
    await transaction.commit()
    await migration
    await slow.close()
    await quick.close()
    assert await fetch(platform_url, "SELECT version_num FROM smarttrip.alembic_version") == [(LATEST,)]


async def test_upgrade_can_be_repeated_after_a_lock_timeout(platform_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "PAUSES", (0.0,))
    holder = await asyncpg.connect(plain(platform_url))
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE tags IN ROW EXCLUSIVE MODE")
    with pytest.raises(migrations.MigrationError, match="long transaction"):
        await upgrade(platform_url)
    await transaction.rollback()
    await holder.close()
    await upgrade(platform_url)
    assert await fetch(platform_url, "SELECT version_num FROM smarttrip.alembic_version") == [(LATEST,)]
