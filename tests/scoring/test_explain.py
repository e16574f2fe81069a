from dataclasses import replace
from typing import Any

import pytest

from scoring.explain import Recommendation, score_documents
from scoring.results import needs_relaxed_search, show_refinement, summary_message
from scoring.rules import applicable_rules
from tests.scoring.builders import KENYA, PLAIN_DAYS_RELAXED, departure, relaxed, search

ALL_GOOD: dict[str, Any] = {
    "selected_countries": [KENYA],
    "preferred_theme_ids": [1, 2],
    "difficulty": 3,
    "budget": 1000,
    "max_duration": 500,
}


def scored(score: int) -> Recommendation:
    """The base score and as much more as it takes."""
    found = score_documents([departure()], applicable_rules(search()))[0]
    return replace(found, score=score)


def test_score_is_clamped_but_breakdown_is_not() -> None:
    trip = departure(themes=["1", "2"], status="Last Places", start="2026-11-24")
    found = score_documents([trip], applicable_rules(search(**ALL_GOOD)))[0]
    assert found.score == 100
    assert sum(line.points for line in found.breakdown) == 30 + 25 + 15 + 12 + 12 + 15 + 7 + 15


def test_labels_omit_base_score() -> None:
    trip = departure(status="Last Places", days=PLAIN_DAYS_RELAXED)
    found = score_documents([trip], applicable_rules(relaxed()), is_relaxed=True)[0]
    assert (found.labels, found.score) == (["Expanded Result [-15]", "Last Places [+15]"], 30)
    assert found.is_relaxed


def test_scores_below_thirty_are_not_shown() -> None:
    themes = applicable_rules(search(preferred_theme_ids=[1], min_duration=360))
    exact, below = departure(id=1, status="Last Places"), departure(id=2, status="Guaranteed")
    assert [(found.document.id, found.score) for found in score_documents([below, exact], themes)] == [(1, 30)]


def test_disqualified_departure_is_not_shown() -> None:
    best = departure(themes=["1", "2"], status="Last Places", start="2026-11-24", days=100)
    assert score_documents([best], applicable_rules(search(**{**ALL_GOOD, "max_duration": 10}))) == []


def test_scoring_preserves_order() -> None:
    trips = [departure(id=2), departure(id=1, status="Last Places"), departure(id=3)]
    assert [found.document.id for found in score_documents(trips, applicable_rules(search(min_duration=360)))] == [
        2,
        1,
        3,
    ]


@pytest.mark.parametrize(("primary", "needed"), [(0, True), (5, True), (6, False)])
def test_relaxed_search_runs_after_at_most_five_results(primary: int, needed: bool) -> None:
    assert needs_relaxed_search([scored(50)] * primary) is needed


@pytest.mark.parametrize(("scores", "needed"), [([], True), ([69, 90], True), ([70], False), ([100, 30], False)])
def test_refinement_is_suggested_below_high_score(scores: list[int], needed: bool) -> None:
    assert show_refinement([scored(score) for score in scores]) is needed


@pytest.mark.parametrize(
    ("primary", "relaxed_count", "text"),
    [
        (14, 0, "Found 14 recommended trips"),
        (2, 28, "Found 2 recommended trips + 28 expanded results"),
        (0, 9, "Found 0 recommended trips + 9 expanded results"),
        (0, 0, "No trips match your criteria. Try adjusting your preferences."),
    ],
)
def test_message_counts_results(primary: int, relaxed_count: int, text: str) -> None:
    assert summary_message(primary, relaxed_count) == text
