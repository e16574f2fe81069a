"""The fallback finds what the index finds."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Integer, Numeric, SmallInteger, String
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine

from app.backends import factory
from app.backends.database import Database
from app.recommendations.engine import RankedResults, find_recommendations
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.recommendations.trip_search.postgres import PostgresTripSearch
from app.repositories.lookups import load_lookups
from core.configuration.settings import Settings
from core.errors import OverloadedError
from schemas.api.preferences import Preferences
from schemas.tables import TripOccurrence, TripTemplate
from scoring.context import SearchContext, SearchLookups
from scoring.weights import Weights
from tests.conftest import TODAY
from tests.scoring.reference import ReferenceWeights
from tests.scoring.strategies import PREFERENCE_VALUES, WEIGHTS
from tests.support.api.shared_database import database_on
from tests.support.sync import execute

bodies = st.fixed_dictionaries({}, optional=PREFERENCE_VALUES)


def shown(found: RankedResults) -> list[tuple[int, int, bool, list[str], bytes]]:
    return [
        (trip.document.id, trip.score, trip.is_relaxed, trip.labels, bytes(trip.document.trip)) for trip in found.all
    ]


@pytest.fixture
async def database_reads(engine: AsyncEngine, sample_index: None) -> AsyncIterator[Database]:
    async with database_on(engine) as database:
        yield database


@pytest.fixture
async def catalogue_now(database_reads: Database) -> AsyncIterator[SearchLookups]:
    async with database_reads.read() as session:
        yield await load_lookups(session)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=bodies, weights=WEIGHTS)
async def test_postgres_and_index_recommend_the_same(
    index: ElasticsearchTripSearch,
    database_reads: Database,
    catalogue_now: SearchLookups,
    body: dict[str, Any],
    weights: ReferenceWeights,
) -> None:
    search = SearchContext(Preferences.model_validate(body), TODAY, catalogue_now, Weights(**asdict(weights)))
    fallback = PostgresTripSearch(database_reads, max_candidates=10_000)
    expected = await find_recommendations(index, search)
    found = await find_recommendations(fallback, search)
    assert shown(found) == shown(expected)
    assert found.total_candidates == expected.total_candidates


WIDER: dict[type[TypeEngine[Any]], str] = {
    SmallInteger: "integer",
    Integer: "bigint",
    Numeric: "numeric(30, 2)",
    String: "text",
}
"""Types that have every value of another, by that one."""


async def test_changed_type_of_a_column_fails_no_search(
    settings: Settings, engine: AsyncEngine, sample_index: None
) -> None:
    """A connection keeps statements from before the change."""
    database = factory.database(settings)
    async with database.read() as session:
        search = SearchContext(Preferences.model_validate({}), TODAY, await load_lookups(session))
    fallback = PostgresTripSearch(database, max_candidates=10_000)
    expected = shown(await find_recommendations(fallback, search))
    for table in (TripOccurrence.__table__, TripTemplate.__table__):
        for column in table.columns:
            if (wider := WIDER.get(type(column.type))) is None:
                continue
            for type_name in (wider, column.type.compile(engine.dialect)):
                await execute(engine, f"ALTER TABLE {table.description} ALTER {column.name} TYPE {type_name}")
                assert shown(await find_recommendations(fallback, search)) == expected, column
    await database.close()


async def test_candidates_are_bounded_by_start_date(database_reads: Database, catalogue_now: SearchLookups) -> None:
    search = SearchContext(Preferences.model_validate({}), TODAY, catalogue_now)
    everything = await find_recommendations(PostgresTripSearch(database_reads, max_candidates=10_000), search)
    found = await find_recommendations(PostgresTripSearch(database_reads, max_candidates=40), search)
    assert everything.total_candidates > 40
    assert found.total_candidates == 40
    assert max(trip.document.start for trip in found.all) < max(trip.document.start for trip in everything.all)


async def test_excess_fallback_searches_are_rejected(database_reads: Database, catalogue_now: SearchLookups) -> None:
    fallback = PostgresTripSearch(database_reads, max_candidates=10_000, max_concurrent=0, queue_timeout=0)
    with pytest.raises(OverloadedError):
        await find_recommendations(fallback, SearchContext(Preferences.model_validate({}), TODAY, catalogue_now))
