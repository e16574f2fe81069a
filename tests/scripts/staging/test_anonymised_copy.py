"""A copy has the statistics of the catalogue and no persons: a text is planted in every column of every table."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from core import clients
from core.configuration.settings import Settings
from schemas.tables import SCHEMA, Base
from scripts import sample_data
from scripts.errors import CliError
from scripts.staging.anonymised_copy import copy_anonymised
from scripts.staging.copied_columns import COPIED, TABLES
from scripts.staging.target_schema import FIRST_REVISION
from tests.conftest import TODAY
from tests.migrations.databases import execute, fetch, make_bare_tables
from tests.scripts.staging.planted import EXTRA_COLUMNS, WORDS, add_extra_columns, columns_with, plant
from tests.support.factories import CatalogueFactory
from tests.support.tracking.people import three_people

PLATFORM = [table for table in Base.metadata.sorted_tables if table.schema != SCHEMA]
NAMES = [table.name for table in PLATFORM]
TERMS = {(table, column) for table in ("countries", "tags", "trip_types") for column in ("name", "name_he")}
"""Texts that are copied: the platform's own terms."""

ROWS_OF_PERSONS = """
INSERT INTO reviews (trip_template_id, trip_occurrence_id, rating)
    SELECT trip_template_id, id, 1 + id % 5 FROM trip_occurrences WHERE id % 3 = 0;
INSERT INTO price_history (trip_template_id, new_price) SELECT id, base_price FROM trip_templates;
INSERT INTO trip_interactions (trip_id) SELECT id FROM trip_occurrences;
INSERT INTO recommendation_metrics_daily (date) VALUES ('2026-11-24');
"""

STATISTICS = {
    "departures of each company": "SELECT company_id, count(*) FROM trip_templates GROUP BY 1 ORDER BY 1",
    "departures of each template": "SELECT trip_template_id, count(*) FROM trip_occurrences GROUP BY 1 ORDER BY 1",
    "prices": "SELECT base_price, count(*) FROM trip_templates GROUP BY 1 ORDER BY 1",
    "overridden prices": "SELECT price_override, count(*) FROM trip_occurrences GROUP BY 1 ORDER BY 1",
    "dates": "SELECT start_date, end_date, count(*) FROM trip_occurrences GROUP BY 1, 2 ORDER BY 1, 2",
    "spots and status": "SELECT spots_left, status, count(*) FROM trip_occurrences GROUP BY 1, 2 ORDER BY 1, 2",
    "tags": "SELECT name, trip_template_id FROM trip_template_tags JOIN tags ON id = tag_id ORDER BY 1, 2",
    "countries": "SELECT name, continent, trip_template_id, visit_order FROM trip_template_countries"
    " JOIN countries ON id = country_id ORDER BY 1, 3",
    "lengths": "SELECT id, length(title), length(title_he), length(description), length(description_he),"
    " length(short_description) FROM trip_templates ORDER BY 1",
    "bytes of Hebrew": "SELECT count(*) FROM trip_templates WHERE abs(octet_length(description_he)"
    " - 1.85 * length(description_he)) < 0.2 * length(description_he)",
    "guides": "SELECT gender::text, g.is_active, count(*) FROM trip_occurrences LEFT JOIN guides g"
    " ON g.id = guide_id GROUP BY 1, 2 ORDER BY 1, 2",
    "searches of scenarios": "SELECT id, preferences FROM evaluation_scenarios ORDER BY 1",
    "ratings": "SELECT rating, count(*) FROM reviews GROUP BY 1 ORDER BY 1",
}


COUNTED = {
    *(
        "countries",
        "companies",
        "guides",
        "trip_types",
        "tags",
        "trip_templates",
        "trip_template_tags",
        "price_history",
    ),
    *("trip_template_countries", "trip_occurrences", "reviews", "evaluation_scenarios"),
}


def is_text(column: Column[Any]) -> bool:
    """Return whether the column takes any text of ten characters."""
    type_name = column.type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]
    return type_name in {"TEXT", "JSONB"} or (type_name.startswith("VARCHAR") and len(type_name) > len("VARCHAR(9)"))


async def fill(url: str) -> None:
    """Put rows into every table of the platform."""
    await sample_data.seed(url, 300, today=TODAY)
    engine = clients.postgres(url)
    await three_people(engine)
    await engine.dispose()
    await execute(url, ROWS_OF_PERSONS)


@asynccontextmanager
async def catalogue_of(url: str) -> AsyncIterator[CatalogueFactory]:
    engine = clients.postgres(url)
    yield CatalogueFactory(engine, first=1000)
    await engine.dispose()


@pytest.fixture
async def filled(settings: Settings, database: AsyncEngine) -> str:
    await fill(settings.database_url)
    return settings.database_url


async def test_planted_text_is_found_in_no_column_but_terms(source_url: str, target_url: str) -> None:
    await asyncio.to_thread(migrations.upgrade, source_url)
    await fill(source_url)
    await add_extra_columns(source_url, NAMES)
    planted = await plant(source_url, NAMES)
    assert planted >= {(table.name, column.name) for table in PLATFORM for column in table.columns if is_text(column)}
    planted |= {(name, column) for name in NAMES for column in EXTRA_COLUMNS}
    assert await columns_with(source_url, WORDS) == planted | {("extra", "anything")}

    await copy_anonymised(source_url, target_url, 100)

    assert await columns_with(target_url, WORDS) == TERMS


async def test_extra_columns_are_copied_with_replaced_values(source_url: str, target_url: str) -> None:
    await asyncio.to_thread(migrations.upgrade, source_url, FIRST_REVISION)
    async with catalogue_of(source_url) as catalogue:
        await catalogue.tag()
    await add_extra_columns(source_url, ["tags"])
    await copy_anonymised(source_url, target_url, 100)
    (copied,) = await fetch(target_url, "SELECT to_jsonb(tags) FROM tags")
    row = json.loads(copied[0])
    assert {name: row[name] for name in EXTRA_COLUMNS} == dict.fromkeys(EXTRA_COLUMNS) | {
        "extra_text": "lorem ip",
        "Extra Quoted": "lorem ip",
        "extra_json": {"text": "lorem ipsum dolor sit am"},
        "extra_list": ["lorem ipsum "],
    }


async def test_statistics_are_kept(filled: str, target_url: str) -> None:
    copied = await copy_anonymised(filled, target_url, 100)
    assert {name for name, count in copied.items() if count} == COUNTED
    for name, query in STATISTICS.items():
        before = await fetch(filled, query)
        assert before, name
        assert await fetch(target_url, query) == before, name
    async with catalogue_of(target_url) as catalogue:
        assert await catalogue.tag() == copied["tags"] + 1, "new rows get ids that follow"


async def test_sample_has_whole_templates(filled: str, target_url: str) -> None:
    copied = await copy_anonymised(filled, target_url, 40)
    templates = [number for (number,) in await fetch(target_url, "SELECT id FROM trip_templates")]
    assert 10 < len(templates) < 40
    for table in ("trip_occurrences", "trip_template_tags", "trip_template_countries", "price_history", "reviews"):
        query = f"SELECT count(*) FROM {table} WHERE trip_template_id = ANY (ARRAY{templates})"
        assert await fetch(target_url, query) == await fetch(filled, query) == [(copied[table],)]
    assert copied["companies"] == (await fetch(filled, "SELECT count(*) FROM companies"))[0][0]


async def test_review_of_another_templates_departure_is_left_out_with_it(filled: str, target_url: str) -> None:
    """Its departure is not in the sample."""
    await execute(filled, "UPDATE reviews SET trip_template_id = (SELECT min(id) FROM trip_templates)")
    await copy_anonymised(filled, target_url, 40)
    dangling = "SELECT FROM reviews LEFT JOIN trip_occurrences o ON o.id = trip_occurrence_id WHERE o.id IS NULL"
    assert await fetch(target_url, dangling) == []


async def test_bare_tables_and_unknown_labels_are_copied(source_url: str, target_url: str) -> None:
    """As another application's ORM makes them, without the analytics tables."""
    await make_bare_tables(source_url)
    await execute(source_url, "ALTER TYPE continent ADD VALUE 'ATLANTIS'")
    async with catalogue_of(source_url) as catalogue:
        await catalogue.country(continent="ATLANTIS")
    copied = await copy_anonymised(source_url, target_url, 100)
    assert (copied["countries"], copied["evaluation_scenarios"]) == (1, 0)
    assert await fetch(target_url, "SELECT continent::text FROM countries") == [("ATLANTIS",)]


async def test_source_itself_is_refused(filled: str) -> None:
    with pytest.raises(CliError, match="is the database that is to be copied"):
        await copy_anonymised(filled, filled, 100)


@pytest.mark.parametrize("table", ["tags", "elsewhere.notes"])
async def test_target_with_rows_is_refused(filled: str, target_url: str, table: str) -> None:
    await execute(
        target_url,
        f"CREATE SCHEMA elsewhere; CREATE TABLE {table} (id int); INSERT INTO {table} VALUES (7)",
    )
    with pytest.raises(CliError, match=f"its table {table} has rows"):
        await copy_anonymised(filled, target_url, 100)
    assert await fetch(target_url, f"SELECT id FROM {table}") == [(7,)]


def test_every_required_column_that_is_no_text_is_copied() -> None:
    """A copy without it would be rejected, and one that is copied has to exist."""
    for table in TABLES:
        for column in table.columns:
            has_value = column.nullable or column.server_default is not None or is_text(column)
            assert has_value or column.name in COPIED[table.name], column
        assert COPIED[table.name] <= {*table.columns.keys()}
