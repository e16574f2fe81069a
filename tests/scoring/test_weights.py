"""Validation of the points, and the keys of weight sets."""

from typing import Any

import pytest
from hypothesis import given

from scoring.weight_set import PLATFORM_SET, WeightSet
from scoring.weights import DESCENDING, DISQUALIFY, MIN_SHOWN_SCORE, PLATFORM_WEIGHTS, Weights
from tests.scoring.reference import OWN, ReferenceWeights
from tests.scoring.strategies import other_weights

NAMES = sorted(Weights.model_fields)


def test_platforms_points_are_those_of_the_rules() -> None:
    assert PLATFORM_WEIGHTS.model_dump() == vars(OWN)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", [101, -101, 1.5, "7", True, None])
def test_points_that_are_no_small_whole_number_are_rejected(name: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=name):
        Weights.model_validate({name: wrong})


@pytest.mark.parametrize("name", NAMES)
def test_wrong_sign_is_rejected(name: str) -> None:
    sign = 1 if getattr(PLATFORM_WEIGHTS, name) > 0 else -1
    with pytest.raises(ValueError, match=name):
        Weights.model_validate({name: -sign})


@pytest.mark.parametrize(("better", "worse"), [pair for each in DESCENDING for pair in zip(each, each[1:])])  # noqa: B905, RUF007
def test_worse_match_with_more_points_is_rejected(better: str, worse: str) -> None:
    with pytest.raises(ValueError, match=f"{better} should be at least {worse}"):
        Weights.model_validate({worse: getattr(PLATFORM_WEIGHTS, better) + 1})


def test_set_that_shows_nothing_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least 30"):
        Weights.model_validate(dict.fromkeys(NAMES, 0))


def test_unknown_rule_is_rejected() -> None:
    with pytest.raises(ValueError, match="colour"):
        Weights.model_validate({"colour": 3})


def test_no_bonuses_make_up_for_what_disqualifies() -> None:
    highest = sum(100 for name in NAMES if getattr(PLATFORM_WEIGHTS, name) > 0)
    alternatives = sum(len(each) - 1 for each in DESCENDING) * 100
    assert highest - alternatives + DISQUALIFY < MIN_SHOWN_SCORE


@given(weights=other_weights())
def test_key_is_equal_only_for_the_same_name_and_points(weights: ReferenceWeights) -> None:
    one, same = (WeightSet("one@1", Weights(**vars(weights))) for _ in range(2))
    assert one.key == same.key
    assert one.key != WeightSet("one@2", one.weights).key
    changed = one.weights.model_copy(update={"base": one.weights.base + 1})
    assert one.key != WeightSet("one@1", changed).key
    assert one.key != PLATFORM_SET.key
