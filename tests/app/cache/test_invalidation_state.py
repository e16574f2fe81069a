import pytest

from app.cache.invalidation_state import InvalidationState
from schemas.invalidation_message import ALL_KINDS


@pytest.fixture
def invalidation() -> InvalidationState:
    invalidation = InvalidationState()
    invalidation.resync(10)
    return invalidation


def test_change_invalidates_its_kind(invalidation: InvalidationState) -> None:
    assert invalidation.apply(11, ["country"])
    assert not invalidation.is_current(10, {"country"})
    assert not invalidation.is_current(10, {"company", "country"})
    assert invalidation.is_current(10, {"company"})


def test_later_entry_is_current(invalidation: InvalidationState) -> None:
    invalidation.apply(11, ["country"])
    assert invalidation.is_current(11, {"country"})


def test_change_of_everything_invalidates_every_kind(invalidation: InvalidationState) -> None:
    assert invalidation.apply(11, ["all"])
    assert not any(invalidation.is_current(10, {kind}) for kind in ALL_KINDS)
    assert all(invalidation.is_current(11, {kind}) for kind in ALL_KINDS)


@pytest.mark.parametrize("generation", [12, 9, 1])
def test_gap_in_generations_requires_a_resync(invalidation: InvalidationState, generation: int) -> None:
    assert not invalidation.apply(generation, ["country"])


def test_repeated_generation_changes_nothing(invalidation: InvalidationState) -> None:
    assert invalidation.apply(10, ["country"])
    assert invalidation.is_current(10, {"country"})


def test_resync_invalidates_older_entries(invalidation: InvalidationState) -> None:
    invalidation.resync(12)
    assert not invalidation.is_current(11, {"guide"})
    assert invalidation.is_current(12, {"guide"})


def test_resync_without_a_gap_invalidates_nothing(invalidation: InvalidationState) -> None:
    invalidation.apply(11, ["country"])
    invalidation.resync(11)
    assert invalidation.is_current(10, {"company"})


def test_reset_counter_invalidates_everything(invalidation: InvalidationState) -> None:
    invalidation.resync(0)
    assert not invalidation.is_current(10, {"country"})
    assert invalidation.is_current(0, {"country"})


def test_entry_of_an_unknown_generation_is_not_current(invalidation: InvalidationState) -> None:
    assert not invalidation.is_current(11, {"country"})


def test_recent_change_of_a_kind_is_known(invalidation: InvalidationState) -> None:
    invalidation.apply(11, ["country"])
    assert invalidation.changed_within(60, {"country"})
    assert not invalidation.changed_within(0, {"country"})


def test_resync_counts_as_a_change_of_every_kind() -> None:
    invalidation = InvalidationState()
    assert not invalidation.changed_within(60, ALL_KINDS)
    invalidation.resync(1)
    assert all(invalidation.changed_within(60, {kind}) for kind in ALL_KINDS)
