"""Searches compare one stored field in place of what says that a departure is on offer in a range of days."""

from collections.abc import Sequence
from itertools import compress, product
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.document_fields import DERIVED
from schemas.enums import Status
from schemas.index_document import INDEX_SETTINGS, NOT_OFFERED
from scoring import offered_start as module
from scoring.availability import ON_OFFER
from scoring.context import SearchContext
from scoring.elasticsearch import build_search
from scoring.filters import candidate_filter
from scoring.offered_start import offered_start, with_offered_start
from scoring.predicates import And, Condition, Range
from tests.scoring import reference
from tests.scoring.builders import PRIVATE, relaxed, search
from tests.scoring.conditions import CONDITIONS, of_a_field
from tests.scoring.reference import World
from tests.scoring.strategies import world

STATUSES = (*(status.value for status in Status), "Waiting List", "")
SPOTS = (-1, 0, 1, 2, 10**6)
STARTS = ("0001-01-02", "2027-04-15", "9999-12-31")
PARTS = st.sampled_from(ON_OFFER.conditions)
OPEN_RANGES = st.sampled_from([Range("start", low, None) for low in (None, NOT_OFFERED, *STARTS)])
CONJUNCTIONS = st.lists(PARTS | OPEN_RANGES | of_a_field("start") | CONDITIONS, max_size=10).flatmap(st.permutations)
DEPARTURES = world(3).documents


@pytest.mark.parametrize(("active", "status", "spots", "start"), [*product((True, False), STATUSES, SPOTS, STARTS)])
def test_stored_start_is_that_of_departures_on_offer(active: bool, status: str, spots: int, start: str) -> None:
    stored = offered_start({"active": active, "status": status, "spots": spots, "start": start})
    assert stored == reference.offered_start(start, active=active, spots=spots, status=status)


@settings(max_examples=400)
@given(CONJUNCTIONS, st.booleans())
def test_comparing_the_field_changes_no_result(conditions: list[Condition], complete: bool) -> None:
    conditions += ON_OFFER.conditions if complete else ()
    assert found(with_offered_start(conditions)) == found(conditions)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions=CONJUNCTIONS, seed=st.integers(0, 9))
async def test_elasticsearch_finds_the_same_departures(
    es: AsyncElasticsearch, worlds: list[tuple[World, str]], conditions: list[Condition], seed: int
) -> None:
    catalogue, index = worlds[seed]
    condition = And((*conditions, *ON_OFFER.conditions))
    matching = {trip.id for trip in compress(catalogue.documents, condition.matches_all(catalogue.documents))}
    answer = await es.search(index=index, **build_search(condition, ()), source_includes=["id"])
    assert answer["hits"]["total"]["value"] == len(matching)
    query = And((*with_offered_start(condition.conditions),)).to_elasticsearch()
    hits = (await es.search(index=index, query=query, size=1000))["hits"]["hits"]
    assert {hit["_source"]["id"] for hit in hits} == matching


@pytest.mark.parametrize("searched", [search(), relaxed(), search(preferred_type_id=3, year=2027, budget=1000)])
def test_searches_compare_nothing_else(searched: SearchContext) -> None:
    body = candidates(searched)
    assert "offered_start" in body
    assert not any(f"'{field}'" in body for field in ("start", "active", "status", "spots"))


@pytest.mark.parametrize("searched", [search(preferred_type_id=PRIVATE), relaxed(preferred_type_id=PRIVATE)])
def test_private_searches_need_neither_day_nor_spots(searched: SearchContext) -> None:
    assert "offered_start" not in candidates(searched)


def test_index_is_sorted_by_the_field() -> None:
    assert INDEX_SETTINGS["sort"]["field"][0] == module.FIELD
    assert module.FIELD in DERIVED


def candidates(searched: SearchContext) -> str:
    query: dict[str, Any] = build_search(candidate_filter(searched), ())["query"]
    return str(query["function_score"]["query"])


def found(conditions: Sequence[Condition]) -> list[int]:
    return [trip.id for trip in compress(DEPARTURES, And((*conditions,)).matches_all(DEPARTURES))]
