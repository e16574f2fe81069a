"""Steps that add up must give each candidate the points of the first rule that holds in each group."""

from itertools import compress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.index_document import TripDocument
from scoring.explain import explain
from scoring.point_steps import PointSteps, point_steps
from scoring.predicates import ALWAYS, Condition, Equals, In, Or, Range
from scoring.rules import Rule, RuleGroup, applicable_rules
from scoring.simplification import NOTHING, simplify
from tests.scoring.builders import search
from tests.scoring.conditions import CONDITIONS
from tests.scoring.strategies import world

RULES = st.builds(Rule, st.just("a rule"), st.integers(-20, 20), st.just("label"), CONDITIONS)
GROUPS = st.lists(st.lists(RULES, min_size=1, max_size=4).map(tuple), max_size=3)
"""In any order of points, as no rule of the platform is: steps must be right for them as well."""
PLACES = Or((In("country", ("1",)), In("continent", ("Asia",))))


@pytest.fixture(scope="module")
def departures() -> list[TripDocument]:
    return world(0, 150).documents


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules=GROUPS, condition=CONDITIONS)
def test_steps_add_up_to_the_points_of_the_rules(
    departures: list[TripDocument], rules: list[RuleGroup], condition: Condition
) -> None:
    candidates = [*compress(departures, condition.matches_all(departures))]
    given_ = point_steps(rules, simplify(condition))
    assert all(points > 0 for points in given_.steps.values())
    sums = [given_.constant] * len(candidates)
    for holds, points in given_.steps.items():
        sums = [sum_ + points * held for sum_, held in zip(sums, holds.matches_all(candidates), strict=True)]
    assert sums == [sum(line.points for line in lines) for lines in explain(candidates, rules)]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(condition=CONDITIONS)
def test_simplified_condition_holds_for_the_same_departures(
    departures: list[TripDocument], condition: Condition
) -> None:
    assert simplify(condition).matches_all(departures) == condition.matches_all(departures)


def test_each_budget_step_adds_its_difference_to_the_next() -> None:
    rules = [group for group in applicable_rules(search(budget=1000)) if group[0].name == "within_budget"]
    assert point_steps(rules, ALWAYS).steps == {
        Range("price", None, 1000_00): 4,
        Range("price", None, 1100_00): 3,
        Range("price", None, 1200_00): 5,
    }


def test_penalty_for_no_theme_joins_the_bonus_for_one() -> None:
    rules = applicable_rules(search(preferred_theme_ids=[1]))
    assert point_steps(rules, ALWAYS).steps[In("themes", ("1",))] == 12 + 15


def test_durations_around_the_chosen_ones_are_one_range() -> None:
    rules = applicable_rules(search(min_duration=10, max_duration=30))
    steps = point_steps(rules, ALWAYS).steps
    private = Equals("type", "10")
    assert [steps[Or((private, Range("days", *days)))] for days in ((10, 30), (6, 34), (3, 37))] == [4, 8, 1000]


@pytest.mark.parametrize(
    ("candidates", "condition", "expected"),
    [
        (Range("level", 3, 3), Range("level", 2, 4), PointSteps(5, {})),
        (Range("level", 1, 2), Range("level", 3, None), PointSteps(0, {})),
        (Equals("type", "3"), Equals("type", "10"), PointSteps(0, {})),
        (Equals("themes", "3"), Equals("themes", "4"), PointSteps(0, {Equals("themes", "4"): 5})),
        (PLACES, Or((Equals("type", "3"), *PLACES.conditions)), PointSteps(5, {})),
    ],
)
def test_what_holds_for_all_candidates_or_none_needs_no_step(
    candidates: Condition, condition: Condition, expected: PointSteps
) -> None:
    assert point_steps([(Rule("a rule", 5, "label", condition),)], candidates) == expected


def test_nothing_is_recognised() -> None:
    empty = (In("country", ()), Or((In("country", ()), In("themes", ()))), Range("level", 3, 2))
    assert [simplify(condition) for condition in empty] == [NOTHING] * 3
