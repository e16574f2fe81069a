"""Triggers: each change of exposed data inserts a row into the outbox, in the writer's transaction."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Boolean, Date, DateTime, Integer, Numeric, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas import tables
from schemas.api import entities
from schemas.tables.open_enum import OpenEnum
from tests.conftest import plain
from tests.support.factories import WRITTEN, CatalogueFactory

Change = tuple[str, int | None]

KINDS: dict[type[tables.Base], tuple[str, type[entities.Entity]]] = {
    tables.Company: ("company", entities.Company),
    tables.Country: ("country", entities.Country),
    tables.Guide: ("guide", entities.Guide),
    tables.Tag: ("tag", entities.Tag),
    tables.TripType: ("type", entities.TripType),
    tables.TripTemplate: ("template", entities.Template),
    tables.TripOccurrence: ("occurrence", entities.Departure),
}


class Writer:
    """Runs SQL, and returns the outbox rows that it causes."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def write(self, *statements: str) -> list[Change]:
        """Run statements in one transaction, and return the outbox rows that they cause."""
        await self.connection.execute("DELETE FROM smarttrip.outbox")
        async with self.connection.transaction():
            for statement in statements:
                await self.connection.execute(statement)
        return await self.changes()

    async def changes(self) -> list[Change]:
        rows = await self.connection.fetch("SELECT kind, row_id FROM smarttrip.outbox")
        return sorted((row["kind"], row["row_id"]) for row in rows)


@pytest.fixture
async def writer(database: AsyncEngine) -> AsyncIterator[Writer]:
    connection = await asyncpg.connect(plain(database.url.render_as_string(hide_password=False)))
    yield Writer(connection)
    await connection.close()


async def add(catalogue: CatalogueFactory, table: type[tables.Base]) -> int:
    builders: dict[type[tables.Base], Callable[[], Awaitable[int]]] = {
        tables.Company: catalogue.company,
        tables.Country: catalogue.country,
        tables.Guide: catalogue.guide,
        tables.Tag: catalogue.tag,
        tables.TripType: catalogue.trip_type,
        tables.TripTemplate: catalogue.template,
        tables.TripOccurrence: catalogue.occurrence,
    }
    return await builders[table]()


@pytest.mark.parametrize("change", ["DROP COLUMN address", "RENAME COLUMN address TO street"])
async def test_dropped_watched_column_fails_no_statement(
    catalogue: CatalogueFactory, writer: Writer, change: str
) -> None:
    company = await catalogue.company()
    undo = writer.connection.transaction()
    await undo.start()
    try:
        await writer.connection.execute(f"ALTER TABLE companies {change}")
        assert await writer.write("UPDATE companies SET is_active = is_active") == [("company", company)]
    finally:
        await undo.rollback()


def another_value(column: Any) -> str:
    """Return SQL for a value that no factory uses."""
    values = {
        Boolean: f"NOT {column.name}",
        Date: "'2027-01-12'",
        DateTime: "'2026-11-20 08:00'",
        OpenEnum: {"continent": "'AFRICA'", "gender": "'OTHER'"}.get(column.name, ""),
        Integer: f"coalesce({column.name}, 0) + 1",
        JSONB: """'{"cabin": 1}'""",
        Numeric: "17.50",
        SmallInteger: f"{column.name} + 1",
    }
    return values.get(type(column.type), "'another'")


@pytest.mark.parametrize("table", KINDS, ids=lambda table: table.__tablename__)
async def test_insert_update_and_delete_each_enqueue_one_row(
    writer: Writer, catalogue: CatalogueFactory, table: type[tables.Base]
) -> None:
    kind, _ = KINDS[table]
    name = table.__tablename__
    row_id = await add(catalogue, table)
    assert (kind, row_id) in await writer.changes()
    assert await writer.write(f"UPDATE {name} SET updated_at = '2026-11-20'") == [(kind, row_id)]
    assert await writer.write(f"DELETE FROM {name} WHERE id = {row_id}") == [(kind, row_id)]


@pytest.mark.parametrize("table", KINDS, ids=lambda table: table.__tablename__)
async def test_every_exposed_column_is_watched(
    writer: Writer, catalogue: CatalogueFactory, table: type[tables.Base]
) -> None:
    kind, entity = KINDS[table]
    other = {
        "company_id": await catalogue.company(),
        "trip_type_id": await catalogue.trip_type(),
        "primary_country_id": await catalogue.country(),
        "trip_template_id": await catalogue.template(),
        "guide_id": await catalogue.guide(),
    }
    row_id = await add(catalogue, table)
    shown = [column for column in table.__table__.columns if column.name in entity.model_fields and column.name != "id"]
    assert len(shown) > 4
    for column in shown:
        value = other.get(column.name) or another_value(column)
        update = f"UPDATE {table.__tablename__} SET {column.name} = {value} WHERE id = {row_id}"
        assert await writer.write(update) == [(kind, row_id)], column.name


@pytest.mark.parametrize("table", KINDS, ids=lambda table: table.__tablename__)
async def test_update_without_change_enqueues_nothing(
    writer: Writer, catalogue: CatalogueFactory, table: type[tables.Base]
) -> None:
    await add(catalogue, table)
    assert await writer.write(f"UPDATE {table.__tablename__} SET updated_at = updated_at") == []


@pytest.mark.parametrize("table", [tables.TripTemplate, tables.TripOccurrence], ids=lambda table: table.__tablename__)
async def test_unexposed_column_enqueues_nothing(
    writer: Writer, catalogue: CatalogueFactory, table: type[tables.Base]
) -> None:
    await add(catalogue, table)
    assert await writer.write(f"UPDATE {table.__tablename__} SET legacy_trip_id = 5") == []


@pytest.mark.parametrize(
    ("table", "emptied"),
    [
        ("companies", 5),
        ("countries", 5),
        ("guides", 2),
        ("tags", 2),
        ("trip_types", 5),
        ("trip_templates", 4),
        ("trip_occurrences", 1),
        ("trip_template_tags", 1),
        ("trip_template_countries", 1),
    ],
)
async def test_truncate_enqueues_everything_per_table(writer: Writer, table: str, emptied: int) -> None:
    assert await writer.write(f"TRUNCATE {table} CASCADE") == [("all", None)] * emptied


@pytest.mark.parametrize("table", KINDS, ids=lambda table: table.__tablename__)
async def test_changed_key_enqueues_old_and_new_key(
    writer: Writer, catalogue: CatalogueFactory, table: type[tables.Base]
) -> None:
    kind, _ = KINDS[table]
    row_id = await add(catalogue, table)
    update = f"UPDATE {table.__tablename__} SET id = 9000 WHERE id = {row_id}"
    assert await writer.write(update) == [(kind, row_id), (kind, 9000)]


async def test_statement_enqueues_each_changed_row(writer: Writer, catalogue: CatalogueFactory) -> None:
    template_id = await catalogue.template()
    ids = [await catalogue.occurrence(trip_template_id=template_id, spots_left=spots) for spots in (0, 5, 5)]
    update = "UPDATE trip_occurrences SET spots_left = greatest(spots_left, 3)"
    assert await writer.write(update) == [("occurrence", ids[0])]
    update = "UPDATE trip_occurrences SET spots_left = 1"
    assert await writer.write(update) == [("occurrence", row_id) for row_id in ids]
    assert await writer.write("UPDATE trip_occurrences SET spots_left = 2 WHERE false") == []


async def test_template_link_enqueues_the_template(writer: Writer, catalogue: CatalogueFactory) -> None:
    first, second = await catalogue.template(), await catalogue.template()
    for table, column, linked in (
        ("trip_template_tags", "tag_id", [await catalogue.tag(), await catalogue.tag()]),
        ("trip_template_countries", "country_id", [await catalogue.country(), await catalogue.country()]),
    ):
        insert = f"INSERT INTO {table} (trip_template_id, {column}) VALUES ({first}, {{}})"
        both = [insert.format(one) for one in linked]
        assert await writer.write(*both) == [("template", first)] * 2
        one_statement = f"UPDATE {table} SET created_at = created_at"
        assert await writer.write(one_statement) == []
        moved = f"UPDATE {table} SET trip_template_id = {second} WHERE {column} = {linked[0]}"
        assert await writer.write(moved) == [("template", first), ("template", second)]
        assert await writer.write(f"DELETE FROM {table}") == [("template", first), ("template", second)]


async def test_visit_order_enqueues_the_template(writer: Writer, catalogue: CatalogueFactory) -> None:
    template_id = await catalogue.template(countries=[await catalogue.country(), await catalogue.country()])
    update = "UPDATE trip_template_countries SET visit_order = 3 - visit_order"
    assert set(await writer.write(update)) == {("template", template_id)}
    assert await writer.write("UPDATE trip_template_countries SET days_in_country = 4") == []


async def test_cascaded_deletes_are_enqueued(writer: Writer, catalogue: CatalogueFactory) -> None:
    tag_id, guide_id = await catalogue.tag(), await catalogue.guide()
    template_id = await catalogue.template(tags=[tag_id], countries=[await catalogue.country()])
    occurrence_id = await catalogue.occurrence(guide_id=guide_id)
    assert await writer.write(f"DELETE FROM tags WHERE id = {tag_id}") == [("tag", tag_id), ("template", template_id)]
    changes = await writer.write(f"DELETE FROM guides WHERE id = {guide_id}")
    assert changes == [("guide", guide_id), ("occurrence", occurrence_id)]
    deleted = await writer.write(f"DELETE FROM trip_templates WHERE id = {template_id}")
    assert set(deleted) == {("template", template_id)}


async def test_upsert_and_merge_enqueue_what_they_write(writer: Writer, catalogue: CatalogueFactory) -> None:
    tag_id = await catalogue.tag(name="Desert")
    values = "('Desert', 'מדבר', now(), now()), ('Snow', 'שלג', now(), now())"
    upsert = (
        f"INSERT INTO tags (name, name_he, created_at, updated_at) VALUES {values}"
        " ON CONFLICT (name) DO UPDATE SET name_he = excluded.name_he"
    )
    assert await writer.write(upsert) == [("tag", tag_id), ("tag", tag_id + 2)]
    merge = (
        f"MERGE INTO tags USING (VALUES ({tag_id})) AS given (id) ON tags.id = given.id"
        " WHEN MATCHED THEN UPDATE SET description = 'sand'"
    )
    assert await writer.write(merge) == [("tag", tag_id)]


async def test_copied_rows_are_enqueued(writer: Writer) -> None:
    records = [(number, f"T{number}", "א", WRITTEN, WRITTEN) for number in (1, 2)]
    columns = ["id", "name", "name_he", "created_at", "updated_at"]
    await writer.connection.copy_records_to_table("tags", records=records, columns=columns)
    assert await writer.changes() == [("tag", 1), ("tag", 2)]


async def test_rolled_back_change_enqueues_nothing(writer: Writer, catalogue: CatalogueFactory) -> None:
    await catalogue.occurrence()
    await writer.write()
    transaction = writer.connection.transaction()
    await transaction.start()
    await writer.connection.execute("UPDATE trip_occurrences SET spots_left = 1")
    await transaction.rollback()
    assert await writer.changes() == []


async def test_role_without_rights_on_our_schema_can_write(writer: Writer, catalogue: CatalogueFactory) -> None:
    occurrence_id = await catalogue.occurrence()
    role = f"platform_{writer.connection.get_server_pid()}"
    await writer.write(
        f"CREATE ROLE {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {role}",
    )
    try:
        changes = await writer.write(
            f"SET LOCAL ROLE {role}",
            "SET LOCAL search_path = nowhere",
            "UPDATE public.trip_occurrences SET spots_left = 1",
            "RESET ROLE",
            "RESET search_path",
        )
    finally:
        await writer.write(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert changes == [("occurrence", occurrence_id)]


FUNCTIONS = "SELECT prosrc FROM pg_proc WHERE pronamespace = 'smarttrip'::regnamespace"


async def test_triggers_do_not_notify(database: AsyncEngine) -> None:
    async with database.connect() as connection:
        bodies = (await connection.scalars(text(FUNCTIONS))).all()
    assert bodies
    assert not [body for body in bodies if "notify" in body.lower()]


async def test_triggers_do_not_make_writers_wait(
    writer: Writer, catalogue: CatalogueFactory, database: AsyncEngine
) -> None:
    template_id = await catalogue.template()
    first, second = [await catalogue.occurrence(trip_template_id=template_id) for _ in range(2)]
    update, delete = (
        "UPDATE trip_occurrences SET spots_left = 1 WHERE id = {}",
        "DELETE FROM trip_occurrences WHERE id = {}",
    )
    async with database.connect() as other:
        for statement in (update, delete):
            await other.exec_driver_sql(statement.format(first))
        ours = (statement.format(second) for statement in (update, delete))
        assert await writer.write("SET LOCAL lock_timeout = '100ms'", *ours) == [("occurrence", second)] * 2
