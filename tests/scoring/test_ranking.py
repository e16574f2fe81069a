"""Three rankings of random trips for random wishes must be one: Elasticsearch's, Python's and a plain full sort."""

from dataclasses import asdict
from itertools import compress
from typing import Any

import orjson
import pytest
from elasticsearch import AsyncElasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.api.preferences import Preferences
from schemas.index_document import TripDocument, decode_document
from scoring.context import SearchContext, SearchLookups
from scoring.elasticsearch import build_search, score_offset
from scoring.explain import Recommendation, score_documents
from scoring.filters import candidate_filter
from scoring.results import needs_relaxed_search
from scoring.rules import applicable_rules
from scoring.weights import Weights
from tests.scoring import reference
from tests.scoring.conftest import SEEDS
from tests.scoring.reference import ReferencePreferences, ReferenceWeights, Shown, World
from tests.scoring.strategies import TODAYS, WEIGHTS, body, preferences_on

CASES = 1_100


async def ranked(
    es: AsyncElasticsearch, index: str, search: SearchContext, size: int
) -> tuple[list[Recommendation], int]:
    """What Elasticsearch ranks and Python explains; each hit's two scores are held against each other."""
    scored_by = applicable_rules(search)
    answer = await es.search(index=index, **build_search(candidate_filter(search), scored_by, size))
    hits = answer["hits"]["hits"]
    shown = score_documents(
        [decode_document(orjson.dumps(hit["_source"])) for hit in hits], scored_by, is_relaxed=search.is_relaxed
    )
    scores = {hit["_source"]["id"]: hit["sort"][0] - score_offset(scored_by) for hit in hits}
    good_enough = {id_: score for id_, score in scores.items() if score >= 30}
    assert {trip.document.id: trip.score for trip in shown} == good_enough
    return shown, answer["hits"]["total"]["value"]


async def searched(es: AsyncElasticsearch, index: str, search: SearchContext) -> tuple[list[Shown], int]:
    primary, total = await ranked(es, index, search, 30)
    relaxed: list[Recommendation] = []
    if needs_relaxed_search(primary):
        others = search.relaxed(tuple(trip.document.id for trip in primary))
        relaxed, _ = await ranked(es, index, others, 30 - len(primary))
    return [shown(trip) for trip in primary + relaxed], total


def sorted_in_python(documents: list[TripDocument], search: SearchContext) -> list[Shown]:
    found = [*compress(documents, candidate_filter(search).matches_all(documents))]
    trips = score_documents(found, applicable_rules(search), is_relaxed=search.is_relaxed)
    trips.sort(key=lambda trip: (-trip.score, trip.document.start, trip.document.id))
    return [shown(trip) for trip in trips]


def shown(trip: Recommendation) -> Shown:
    return Shown(trip.document.id, trip.score, trip.is_relaxed, tuple(trip.labels))


def a_search(
    world: World, preferences: ReferencePreferences, weights: ReferenceWeights, *, as_text: bool
) -> SearchContext:
    validated = Preferences.model_validate(body(preferences, as_text=as_text))
    lookups = SearchLookups(world.private_type, world.continents)
    return SearchContext(validated, world.today, lookups, Weights(**asdict(weights)))


@pytest.mark.timeout(600)
@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), seed=st.sampled_from(SEEDS), as_text=st.booleans())
async def test_elasticsearch_python_and_reference_agree(
    es: AsyncElasticsearch, worlds: list[tuple[World, str]], data: Any, seed: int, as_text: bool
) -> None:
    world, index = worlds[seed]
    preferences, weights = data.draw(preferences_on(world.today)), data.draw(WEIGHTS)
    search = a_search(world, preferences, weights, as_text=as_text)
    expected, total = reference.recommend(preferences, world, weights)
    assert await searched(es, index, search) == (expected, total)

    primary = sorted_in_python(world.documents, search)[:30]
    listed = tuple(trip.id for trip in primary)
    relaxed = sorted_in_python(world.documents, search.relaxed(listed)) if len(primary) <= 5 else []
    assert primary + relaxed[: 30 - len(primary)] == expected


def test_every_date_is_used_by_a_seed() -> None:
    assert {TODAYS[seed % len(TODAYS)] for seed in SEEDS} == {*TODAYS}
