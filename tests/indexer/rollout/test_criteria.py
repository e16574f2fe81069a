"""When a candidate is turned back."""

from dataclasses import replace
from typing import Any

import pytest

from indexer.rollout.criteria import BOUNDS, AbortCriteria, Totals, reason_to_abort

CRITERIA = AbortCriteria()


def latencies(seconds: float, count: int = 1000) -> list[int]:
    buckets = [0] * (len(BOUNDS) + 1)
    buckets[next((index for index, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))] = count
    return buckets


USUAL = Totals(requests=9000, failures=90, searches=1000, empty=50, latencies=latencies(0.1))


def test_candidate_that_is_like_the_stable_set_stays() -> None:
    assert reason_to_abort(USUAL, USUAL, CRITERIA) is None


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        ({"failures": 300}, "failed or were degraded"),
        ({"empty": 120}, "found nothing"),
        ({"latencies": latencies(0.3)}, "95th percentile"),
        ({"latencies": latencies(100.0)}, "95th percentile"),
    ],
)
def test_worse_candidate_is_turned_back(worse: dict[str, Any], reason: str) -> None:
    candidate = replace(USUAL, **worse)
    assert reason in (reason_to_abort(USUAL, candidate, CRITERIA) or "")
    assert reason_to_abort(candidate, candidate, CRITERIA) is None, "the stable set is as bad"


@pytest.mark.parametrize(
    "slightly_worse",
    [{"failures": 180}, {"empty": 90}, {"latencies": latencies(0.12)}],
    ids=["failures", "empty", "p95"],
)
def test_slightly_worse_candidate_stays(slightly_worse: dict[str, Any]) -> None:
    assert reason_to_abort(USUAL, replace(USUAL, **slightly_worse), CRITERIA) is None


def test_few_requests_are_not_judged() -> None:
    few = Totals(requests=99, failures=99, searches=99, empty=99, latencies=latencies(5.0, 99))
    assert reason_to_abort(USUAL, few, CRITERIA) is None


def test_candidate_of_all_clients_is_judged_alone() -> None:
    failing = replace(USUAL, failures=9000)
    assert reason_to_abort(Totals(), failing, CRITERIA) is not None
    assert reason_to_abort(Totals(), USUAL, CRITERIA) is None


def test_fast_searches_never_count_as_slow() -> None:
    quick, slower = replace(USUAL, latencies=latencies(0.002)), replace(USUAL, latencies=latencies(0.03))
    assert reason_to_abort(quick, slower, CRITERIA) is None


def test_what_may_be_usual_turns_nobody_back_where_few_get_the_stable_set() -> None:
    """Eight of a hundred searches find nothing, whoever is asked."""
    candidate = replace(USUAL, empty=80)
    for few in (0, 1, 3, 5):
        stable = Totals(requests=few, searches=few, latencies=latencies(0.002, few))
        assert reason_to_abort(stable, candidate, CRITERIA) is None
        assert "found nothing" in (reason_to_abort(stable, replace(USUAL, empty=1000), CRITERIA) or "")


@pytest.mark.parametrize(("others", "is_slow"), [(1, False), (19, False), (20, True), (1000, True)])
def test_percentile_of_few_others_is_no_measure(others: int, *, is_slow: bool) -> None:
    stable = Totals(requests=others, searches=others, latencies=latencies(0.002, others))
    candidate = replace(USUAL, empty=0, latencies=latencies(0.2))
    assert ("95th percentile" in (reason_to_abort(stable, candidate, CRITERIA) or "")) == is_slow
