import pytest

from app.cache.invalidation import InvalidationState
from schemas.invalidation import ALL_KINDS


@pytest.fixture
def generations() -> InvalidationState:
    generations = InvalidationState()
    generations.catch_up(10)
    return generations


def test_a_change_outdates_what_depends_on_its_kind(generations: InvalidationState) -> None:
    assert generations.hear(11, ["country"])
    assert not generations.is_current(10, {"country"})
    assert not generations.is_current(10, {"company", "country"})
    assert generations.is_current(10, {"company"})


def test_what_is_made_after_a_change_holds(generations: InvalidationState) -> None:
    generations.hear(11, ["country"])
    assert generations.is_current(11, {"country"})


def test_a_change_of_everything_outdates_everything(generations: InvalidationState) -> None:
    assert generations.hear(11, ["all"])
    assert not any(generations.is_current(10, {kind}) for kind in ALL_KINDS)
    assert all(generations.is_current(11, {kind}) for kind in ALL_KINDS)


@pytest.mark.parametrize("generation", [12, 9, 1])
def test_a_number_out_of_order_has_to_be_caught_up(generations: InvalidationState, generation: int) -> None:
    assert not generations.hear(generation, ["country"])


def test_a_number_heard_again_changes_nothing(generations: InvalidationState) -> None:
    assert generations.hear(10, ["country"])
    assert generations.is_current(10, {"country"})


def test_catching_up_outdates_everything_older(generations: InvalidationState) -> None:
    generations.catch_up(12)
    assert not generations.is_current(11, {"guide"})
    assert generations.is_current(12, {"guide"})


def test_catching_up_with_what_is_known_outdates_nothing(generations: InvalidationState) -> None:
    generations.hear(11, ["country"])
    generations.catch_up(11)
    assert generations.is_current(10, {"company"})


def test_a_counter_that_starts_again_outdates_everything(generations: InvalidationState) -> None:
    generations.catch_up(0)
    assert not generations.is_current(10, {"country"})
    assert generations.is_current(0, {"country"})


def test_what_is_newer_than_this_process_has_heard_of_cannot_be_judged(generations: InvalidationState) -> None:
    assert not generations.is_current(11, {"country"})


def test_a_kind_counts_as_touched_for_the_given_time(generations: InvalidationState) -> None:
    generations.hear(11, ["country"])
    assert generations.changed_within(60, {"country"})
    assert not generations.changed_within(0, {"country"})


def test_catching_up_touches_every_kind() -> None:
    generations = InvalidationState()
    assert not generations.changed_within(60, ALL_KINDS)
    generations.catch_up(1)
    assert all(generations.changed_within(60, {kind}) for kind in ALL_KINDS)
