from collections.abc import Sequence

import pytest

from scripts.benchmark.load.flood_plan import Answer, Exchange, PhaseResult
from scripts.benchmark.measurements.flood_figures import (
    WINDOW_SECONDS,
    Flood,
    Refusals,
    Run,
    Variant,
    seconds_until_normal,
    table,
)

USUAL = 0.01


def make_run(answers: Sequence[Answer], seconds: float = USUAL, cpu: float = 0.0) -> Run:
    """Return a run of a second whose requests, sent a millisecond late, take so many seconds."""
    exchanges = [Exchange(answer, due=0.0, sent=0.001, received=seconds) for answer in answers]
    return Run(1.0, PhaseResult(exchanges=exchanges, cpu_seconds=0.5), (), {"api": cpu}, breaker_opened=False)


HALF = make_run([Answer.ANSWERED] * 50, cpu=0.05)


def test_shares_are_of_what_they_belong_to() -> None:
    answers = [*[Answer.ANSWERED] * 60, *[Answer.DEGRADED] * 20, *[Answer.REFUSED] * 119, Answer.FAILED]
    flood = Flood.of(2, make_run(answers, seconds=0.03), 100, HALF)
    assert (flood.answered, flood.degraded, flood.refused, flood.failed) == (0.8, 0.25, 0.595, 1)
    assert flood.p95_of_half == pytest.approx(3)
    assert (flood.refusal_p95, flood.late_p95) == pytest.approx((0.029, 0.001))
    assert flood.generator_cores == 0.5


def test_refusals_cost_what_answers_do_not() -> None:
    hammered = make_run([*[Answer.ANSWERED] * 10, *[Answer.REFUSED] * 1000], cpu=0.01 + 0.04)
    refusals = Refusals.of(hammered, HALF)
    assert refusals.cpu_microseconds == pytest.approx(40)
    assert refusals.refused == pytest.approx(1000 / 1010)


@pytest.mark.parametrize("abnormal", [Answer.REFUSED, Answer.DEGRADED, Answer.FAILED, None])
def test_it_is_normal_from_the_first_window_in_which_all_is_as_usual(abnormal: Answer | None) -> None:
    def exchange(number: int) -> Exchange:
        due = number * WINDOW_SECONDS / 4
        is_normal = number >= 8
        answer = Answer.ANSWERED if is_normal or abnormal is None else abnormal
        return Exchange(answer, due, due, due + (USUAL if is_normal or abnormal else 5 * USUAL))

    assert seconds_until_normal([exchange(number) for number in range(12)], USUAL) == 2 * WINDOW_SECONDS
    assert seconds_until_normal([exchange(number) for number in range(8)], USUAL) is None


def test_table_has_a_row_for_each_flood() -> None:
    floods = [Flood.of(factor, make_run([Answer.ANSWERED]), 100, HALF) for factor in (1, 2)]
    variant = Variant("alone", 100, USUAL, floods, Refusals.of(make_run([Answer.REFUSED]), HALF))
    assert table([variant, variant]).row_count == 6
