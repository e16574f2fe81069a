import pytest

from app.cache.invalidation import InvalidationState
from schemas.invalidation import ALL_KINDS


@pytest.fixture
def generations() -> InvalidationState:
    generations = InvalidationState()
    generations.catch_up(10)
    return generations


def test_change_invalidates_its_kind(generations: InvalidationState) -> None:
    assert generations.hear(11, ["country"])
    assert not generations.is_current(10, {"country"})
    assert not generations.is_current(10, {"company", "country"})
    assert generations.is_current(10, {"company"})


def test_later_entry_is_current(generations: InvalidationState) -> None:
    generations.hear(11, ["country"])
    assert generations.is_current(11, {"country"})


def test_change_of_everything_invalidates_every_kind(generations: InvalidationState) -> None:
    assert generations.hear(11, ["all"])
    assert not any(generations.is_current(10, {kind}) for kind in ALL_KINDS)
    assert all(generations.is_current(11, {kind}) for kind in ALL_KINDS)


@pytest.mark.parametrize("generation", [12, 9, 1])
def test_gap_in_generations_requires_a_resync(generations: InvalidationState, generation: int) -> None:
    assert not generations.hear(generation, ["country"])


def test_repeated_generation_changes_nothing(generations: InvalidationState) -> None:
    assert generations.hear(10, ["country"])
    assert generations.is_current(10, {"country"})


def test_resync_invalidates_older_entries(generations: InvalidationState) -> None:
    generations.catch_up(12)
    assert not generations.is_current(11, {"guide"})
    assert generations.is_current(12, {"guide"})


def test_resync_without_a_gap_invalidates_nothing(generations: InvalidationState) -> None:
    generations.hear(11, ["country"])
    generations.catch_up(11)
    assert generations.is_current(10, {"company"})


def test_reset_counter_invalidates_everything(generations: InvalidationState) -> None:
    generations.catch_up(0)
    assert not generations.is_current(10, {"country"})
    assert generations.is_current(0, {"country"})


def test_entry_of_an_unknown_generation_is_not_current(generations: InvalidationState) -> None:
    assert not generations.is_current(11, {"country"})


def test_recent_change_of_a_kind_is_known(generations: InvalidationState) -> None:
    generations.hear(11, ["country"])
    assert generations.changed_within(60, {"country"})
    assert not generations.changed_within(0, {"country"})


def test_resync_counts_as_a_change_of_every_kind() -> None:
    generations = InvalidationState()
    assert not generations.changed_within(60, ALL_KINDS)
    generations.catch_up(1)
    assert all(generations.changed_within(60, {kind}) for kind in ALL_KINDS)
