"""The fallback finds what the index finds."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.database import Database
from app.recommendations.engine import RankedResults, find_recommendations
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.recommendations.trip_search.postgres import PostgresTripSearch
from app.repositories.lookups import load_lookups
from core.errors import OverloadedError
from schemas.api.preferences import Preferences
from scoring.context import SearchContext, SearchLookups
from scoring.weights import Weights
from tests.conftest import TODAY
from tests.scoring.reference import ReferenceWeights
from tests.scoring.strategies import PREFERENCE_VALUES, WEIGHTS
from tests.support.api.shared_database import database_on

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
