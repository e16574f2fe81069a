"""What the search expects of its list must never show in the list."""

from collections.abc import AsyncIterator
from itertools import compress
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.json import encode
from prometheus_client import REGISTRY

from app.backends.http_client import HttpClient, HttpResponse
from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.recommendations.trip_search.expected_scores import MAX_KINDS, MIN_RECENT, RECENT, ExpectedScores, search_kind
from core.configuration.settings import Settings
from schemas.index_document import TripDocument
from scoring.context import SearchContext
from scoring.elasticsearch import score_offset
from scoring.explain import score_all, score_documents
from scoring.filters import candidate_filter
from scoring.rules import applicable_rules
from tests.scoring.builders import departure, search
from tests.scoring.conftest import indexed
from tests.scoring.reference import World
from tests.scoring.strategies import WEIGHTS, preferences_on
from tests.scoring.test_ranking import a_search


class FixedExpectation(ExpectedScores):
    """Expects one score of all searches, and records what the lists had."""

    def __init__(self, score: int) -> None:
        super().__init__()
        self.score = score
        self.added: list[int] = []

    def lowest(self, kind: object) -> int:
        return self.score

    def add(self, kind: object, score: int) -> None:
        self.added.append(score)


@pytest.fixture(scope="module")
async def worlds(es: AsyncElasticsearch, settings: Settings) -> AsyncIterator[list[tuple[World, str]]]:
    async with indexed(es, settings, "expected", range(5)) as catalogues:
        yield catalogues


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[HttpClient]:
    client = HttpClient(settings.elasticsearch_url, seconds=30, connections=1)
    yield client
    client.close()


def best(documents: list[TripDocument], searched: SearchContext, size: int) -> tuple[int, list[tuple[int, int]]]:
    """Return the number of candidates, and score and id of the best that are shown."""
    candidates = [*compress(documents, candidate_filter(searched).matches_all(documents))]
    scores = score_all(candidates, applicable_rules(searched))
    ranks = sorted((-score, trip.start, trip.id) for trip, score in zip(candidates, scores, strict=True))
    return len(candidates), [(-score, id_) for score, _, id_ in ranks[:size] if -score >= 30]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), score=st.integers(30, 100), size=st.sampled_from((1, 5, 30)))
async def test_list_does_not_depend_on_what_is_expected(
    client: HttpClient, worlds: list[tuple[World, str]], data: Any, score: int, size: int
) -> None:
    world, index = data.draw(st.sampled_from(worlds))
    searched = a_search(world, data.draw(preferences_on(world.today)), data.draw(WEIGHTS), as_text=False)
    if data.draw(st.booleans()):
        searched = searched.relaxed(())
    rules = applicable_rules(searched)
    trips = ElasticsearchTripSearch(client, index)
    trips.expected = expected = FixedExpectation(score)
    found = await trips.find(candidate_filter(searched), rules, size)
    total, right = best(world.documents, searched, size)
    shown = score_documents(found.documents, rules, is_relaxed=searched.is_relaxed)
    assert (found.total, [(each.score, each.document.id) for each in shown]) == (total, right)
    # The list's last score, if it is full.
    assert [max(30, added) for added in expected.added] == [right[-1][0] if len(right) == size else 30]


@pytest.mark.parametrize(
    ("expected", "last_scores"),
    [(80, [80]), (80, [79, 79]), (80, [70, 60, 60]), (80, [20, 20]), (80, [40, 20, 20]), (30, [20])],
)
async def test_search_is_made_again_until_nothing_is_missing(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, expected: int, last_scores: list[int]
) -> None:
    """A departure that changes between two searches may have been one of those that the score was expected of."""
    responses = iter([response_of(score) for score in last_scores])

    async def respond(*_arguments: Any) -> HttpResponse:
        return HttpResponse(200, next(responses))

    monkeypatch.setattr(client, "post", respond)
    trips = ElasticsearchTripSearch(client, "any")
    trips.expected = FixedExpectation(expected)
    before = repeated_searches()
    await trips.find(candidate_filter(search()), applicable_rules(search()), 1)
    assert [*responses] == []
    assert repeated_searches() - before == len(last_scores) - 1
    assert trips.expected.added == last_scores[-1:]


def repeated_searches() -> float:
    return REGISTRY.get_sample_value("smarttrip_repeated_searches_total") or 0.0


def response_of(score: int) -> bytes:
    """Return a response with one hit, whose score is this for the rules of a search without preferences."""
    sort = (score + score_offset(applicable_rules(search())), 0, 1)
    hits = {"total": {"value": 1}, "hits": [{"_source": departure(), "sort": sort}]}
    return encode({"timed_out": False, "_shards": {"failed": 0}, "hits": hits})


def test_lowest_of_recent_scores_is_expected() -> None:
    scores = ExpectedScores()
    for number in range(MIN_RECENT):
        assert scores.lowest("kind") == 30
        scores.add("kind", 60 + number)
    assert (scores.lowest("kind"), scores.lowest("another")) == (60, 30)
    for _ in range(RECENT):
        scores.add("kind", 90)
    assert scores.lowest("kind") == 90
    scores.add("kind", -50)
    assert scores.lowest("kind") == 30


def test_kinds_are_bounded_and_the_one_in_use_is_kept() -> None:
    scores = ExpectedScores()
    for kind in range(2 * MAX_KINDS):
        for _ in range(MIN_RECENT):
            scores.add(kind, 80)
        scores.add("in use", 90)
    assert scores.lowest("in use") == scores.lowest("in use") == 90
    assert sum(scores.lowest(kind) > 30 for kind in range(2 * MAX_KINDS)) == MAX_KINDS - 1


def test_searches_with_other_values_are_of_one_kind() -> None:
    def kind(**preferences: Any) -> Any:
        searched = search(**preferences)
        return search_kind(candidate_filter(searched), applicable_rules(searched), 30)

    both = {"budget": 1000, "difficulty": 2}
    assert kind(**both) == kind(budget=7000, difficulty=3)
    others: list[dict[str, int]] = [{}, {"budget": 1000}, {"difficulty": 2}, {**both, "month": 4}, both]
    assert len({kind(**preferences) for preferences in others}) == len(others)
