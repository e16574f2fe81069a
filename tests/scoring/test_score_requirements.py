"""Candidates that do not meet the requirements of a score must not reach it; all others must get their points."""

from collections.abc import Sequence
from itertools import compress
from typing import Any

import orjson
import pytest
from elasticsearch import AsyncElasticsearch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.index_document import TripDocument, decode_document
from scoring.elasticsearch import build_search, score_offset
from scoring.explain import explain, score_all
from scoring.filters import candidate_filter
from scoring.point_steps import PointSteps, point_steps
from scoring.predicates import ALWAYS, And, Condition, Equals, In, Not, Range
from scoring.rules import RuleGroup, applicable_rules
from scoring.score_requirements import ScoreRequirements, requirements
from scoring.simplification import simplify
from tests.scoring.builders import search
from tests.scoring.conditions import CONDITIONS
from tests.scoring.reference import World
from tests.scoring.strategies import WEIGHTS, preferences_on, world
from tests.scoring.test_point_steps import GROUPS
from tests.scoring.test_ranking import a_search


@pytest.fixture(scope="module")
def departures() -> list[TripDocument]:
    return world(0, 150).documents


def sums(points: PointSteps, documents: Sequence[TripDocument]) -> list[int]:
    added = [points.constant] * len(documents)
    for holds, step in points.steps.items():
        added = [sum_ + step * held for sum_, held in zip(added, holds.matches_all(documents), strict=True)]
    return added


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules=GROUPS, condition=CONDITIONS, score=st.integers(-40, 60))
def test_candidates_with_the_score_meet_its_requirements(
    departures: list[TripDocument], rules: list[RuleGroup], condition: Condition, score: int
) -> None:
    candidates = [*compress(departures, condition.matches_all(departures))]
    needed = requirements(point_steps(rules, simplify(condition)), score)
    meets = And(needed.conditions).matches_all(candidates)
    right = [sum(line.points for line in lines) for lines in explain(candidates, rules)]
    assert all(met for met, points in zip(meets, right, strict=True) if points >= score)
    assert sums(needed.points, [*compress(candidates, meets)]) == [*compress(right, meets)]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), least=st.integers(30, 100), is_relaxed=st.booleans())
async def test_list_is_complete_down_to_the_score(
    es: AsyncElasticsearch, worlds: list[tuple[World, str]], data: Any, least: int, is_relaxed: bool
) -> None:
    found_in, index = data.draw(st.sampled_from(worlds))
    preferences, weights = data.draw(preferences_on(found_in.today)), data.draw(WEIGHTS)
    searched = a_search(found_in, preferences, weights, as_text=False)
    searched = searched.relaxed(()) if is_relaxed else searched
    rules, condition = applicable_rules(searched), candidate_filter(searched)
    answer = await es.search(index=index, **build_search(condition, rules, 30, least))
    found = [decode_document(orjson.dumps(hit["_source"])) for hit in answer["hits"]["hits"]]

    candidates = [*compress(found_in.documents, condition.matches_all(found_in.documents))]
    best = [(-score, trip.start, trip.id) for trip, score in zip(candidates, score_all(candidates, rules), strict=True)]
    listed = [(-score, trip.start, trip.id) for trip, score in zip(found, score_all(found, rules), strict=True)]
    assert answer["hits"]["total"]["value"] == len(candidates)
    expected = [rank for rank in sorted(best)[:30] if -rank[0] >= least]
    assert listed[: len(expected)] == expected
    others = answer["hits"]["hits"][len(expected) :]
    assert all(hit["sort"][0] - score_offset(rules) < least for hit in others)


async def test_candidates_that_only_an_exclusion_limits_are_all_counted(
    es: AsyncElasticsearch, worlds: list[tuple[World, str]]
) -> None:
    found_in, index = worlds[0]
    condition = Not(Equals("status", "Open"))
    body = build_search(condition, applicable_rules(search()), 30, 90)
    assert "should" in body["query"]["bool"]
    found = (await es.search(index=index, **body))["hits"]["total"]["value"]
    assert found == sum(condition.matches_all(found_in.documents))


def required(rule: str, score: int, **preferences: Any) -> ScoreRequirements:
    """Return what a departure needs for the score by the rules of one group alone."""
    groups = [group for group in applicable_rules(search(**preferences)) if group[0].name == rule]
    return requirements(point_steps(groups, ALWAYS), score)


@pytest.mark.parametrize(("score", "percent", "constant"), [(12, 100, 12), (9, 100, 12), (8, 110, 8), (3, 120, 5)])
def test_worst_alternative_that_suffices_is_required(score: int, percent: int, constant: int) -> None:
    needed = required("within_budget", score, budget=1000)
    assert needed.conditions == (Range("price", None, 1000 * percent),)
    assert needed.points.constant == constant
    assert needed.points.constant + sum(needed.points.steps.values()) == 12


def test_nothing_is_required_for_what_all_have() -> None:
    assert required("within_budget", 0, budget=1000).conditions == ()


def test_departure_with_points_of_a_status_needs_one_of_them() -> None:
    rules = [group for group in applicable_rules(search()) if group[0].name in {"guaranteed", "last_places"}]
    points = point_steps(rules, ALWAYS)
    assert requirements(points, 8).conditions == (Equals("status", "Last Places"),)
    assert requirements(points, 7).conditions == (In("status", ("Last Places", "Guaranteed")),)
