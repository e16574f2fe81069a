import time
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from schemas import tables
from schemas.enums import PRIVATE_GROUPS, Continent, Status
from scripts import sample_data
from scripts.errors import CliError
from tests.conftest import TODAY
from tests.support.factories import STAMPS, CatalogueFactory

FILLED = (
    *("countries", "companies", "guides", "trip_types", "tags", "trip_templates", "trip_template_tags"),
    *("trip_template_countries", "trip_occurrences", "evaluation_scenarios"),
)


async def fingerprints(engine: AsyncEngine) -> dict[str, str]:
    """Of the rows of each table, without the times that defaults give."""
    query = "SELECT md5(string_agg(row, '')) FROM (SELECT ({table}.*)::text AS row FROM {table} ORDER BY 1) AS rows"
    async with engine.connect() as connection:
        return {
            table: await connection.scalar(text(query.format(table=table))) or ""
            for table in FILLED
            if table != "evaluation_scenarios"
        }


async def test_counts_match_the_tables(database: AsyncEngine, settings: Settings) -> None:
    counts = await sample_data.seed(settings.database_url, 1000, today=TODAY)
    assert counts["trip_occurrences"] == 1000
    assert counts["trip_templates"] == 100
    async with database.connect() as connection:
        stored = {table: await connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in FILLED}
    assert counts == stored


async def test_small_catalogue_has_sixty_templates(database: AsyncEngine, settings: Settings) -> None:
    assert (await sample_data.seed(settings.database_url, 10, today=TODAY))["trip_templates"] == 60


async def test_seed_determines_the_rows(settings: Settings, engine: AsyncEngine) -> None:
    made = []
    for seed in (7, 7, 8):
        await clear(engine)
        await sample_data.seed(settings.database_url, 300, seed, today=TODAY)
        made.append(await fingerprints(engine))
    assert made[0] == made[1]
    assert made[0]["trip_templates"] != made[2]["trip_templates"]
    assert made[0]["trip_occurrences"] != made[2]["trip_occurrences"]


async def clear(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {', '.join(FILLED)} RESTART IDENTITY CASCADE"))


async def test_filled_table_is_rejected(settings: Settings, database: AsyncEngine, catalogue: CatalogueFactory) -> None:
    await catalogue.tag()
    with pytest.raises(CliError, match="tags"):
        await sample_data.seed(settings.database_url, 100, today=TODAY)
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM countries")) == 0


async def test_new_rows_get_following_ids(settings: Settings, database: AsyncEngine) -> None:
    counts = await sample_data.seed(settings.database_url, 100, today=TODAY)
    async with database.begin() as connection:
        row = {"name": "Volunteering", "name_he": "התנדבות", **STAMPS}
        new_id = await connection.scalar(insert(tables.Tag).values(row).returning(tables.Tag.id))
    assert new_id == counts["tags"] + 1


async def test_countries_and_types_are_complete(settings: Settings, database: AsyncEngine) -> None:
    await sample_data.seed(settings.database_url, today=TODAY)
    async with database.connect() as connection:
        countries = (await connection.execute(select(tables.Country))).all()
        types = {row.name: row.id for row in await connection.execute(select(tables.TripType))}
        primary = set(await connection.scalars(select(tables.TripTemplate.primary_country_id)))
    assert {country.continent for country in countries} == set(Continent)
    assert {country.name: country.name_he for country in countries}["Peru"] == "פרו"
    assert len(types) == 11
    assert types[PRIVATE_GROUPS] == 10
    assert {country.id for country in countries if country.name == "Antarctica"} <= primary
    assert None in primary


async def test_departures_cover_every_case_of_the_rules(settings: Settings, database: AsyncEngine) -> None:
    await sample_data.seed(settings.database_url, 3000, today=TODAY)
    async with database.connect() as connection:
        departures = (await connection.execute(select(tables.TripOccurrence))).all()
        templates = (await connection.execute(select(tables.TripTemplate))).all()
    statuses = Counter(row.status for row in departures)
    assert set(statuses) == set(Status)
    assert min(statuses.values()) > 30
    assert {row.status for row in departures if row.price_override == Decimal(0)} == {Status.CANCELLED}
    assert any(row.price_override is None for row in departures)
    assert any(row.spots_left == 0 and row.status == Status.OPEN for row in departures)
    assert any(row.guide_id is None for row in departures)
    assert any(row.start_date < TODAY for row in departures)
    assert any(TODAY <= row.start_date <= TODAY + timedelta(days=30) for row in departures)
    assert any(row.start_date > date(TODAY.year + 1, 12, 31) for row in departures)
    assert any(row.trip_type_id is None for row in templates)
    assert {row.is_active for row in templates} == {True, False}
    assert {row.difficulty_level for row in templates} == {1, 2, 3, 4, 5}


async def test_texts_are_complete_in_both_languages(settings: Settings, database: AsyncEngine) -> None:
    await sample_data.seed(settings.database_url, 1000, today=TODAY)
    async with database.connect() as connection:
        templates = (await connection.execute(select(tables.TripTemplate))).all()
    for row in templates:
        english, hebrew = f"{row.title} {row.description}", f"{row.title_he} {row.description_he}"
        assert not set("{}") & set(english + hebrew)
        assert row.title[0].isupper() or row.title[0].isdigit()
        assert all(any("א" <= letter <= "ת" for letter in word) for word in (row.title_he, row.description_he))
        assert not any("a" <= letter <= "z" for letter in hebrew)


async def test_scenarios_use_known_ids(settings: Settings, database: AsyncEngine) -> None:
    await sample_data.seed(settings.database_url, 100, today=TODAY)
    async with database.connect() as connection:
        scenarios = (await connection.execute(select(tables.EvaluationScenario))).all()
    assert {row.category for row in scenarios} == {"core_persona", "type_specific", "regional", "edge_case"}
    known = {"budget", "difficulty", "min_duration", "max_duration", "year", "month", "preferred_type_id"}
    assert all(set(row.preferences) <= known | {"preferred_theme_ids", "selected_continents"} for row in scenarios)


@pytest.mark.slow
async def test_100_000_departures_load_within_15_seconds(settings: Settings, database: AsyncEngine) -> None:
    started = time.monotonic()
    await sample_data.seed(settings.database_url, 100_000, today=TODAY)
    assert time.monotonic() - started < 15
