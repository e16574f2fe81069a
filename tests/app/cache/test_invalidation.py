import pytest

from app.cache import ALL_KINDS, Generations


@pytest.fixture
def generations() -> Generations:
    generations = Generations()
    generations.catch_up(10)
    return generations


def test_a_change_outdates_what_depends_on_its_kind(generations: Generations) -> None:
    assert generations.hear(11, ["country"])
    assert not generations.cover(10, {"country"})
    assert not generations.cover(10, {"company", "country"})
    assert generations.cover(10, {"company"})


def test_what_is_made_after_a_change_holds(generations: Generations) -> None:
    generations.hear(11, ["country"])
    assert generations.cover(11, {"country"})


def test_a_change_of_everything_outdates_everything(generations: Generations) -> None:
    assert generations.hear(11, ["all"])
    assert not any(generations.cover(10, {kind}) for kind in ALL_KINDS)
    assert all(generations.cover(11, {kind}) for kind in ALL_KINDS)


@pytest.mark.parametrize("generation", [12, 9, 1])
def test_a_number_out_of_order_has_to_be_caught_up(generations: Generations, generation: int) -> None:
    assert not generations.hear(generation, ["country"])


def test_a_number_heard_again_changes_nothing(generations: Generations) -> None:
    assert generations.hear(10, ["country"])
    assert generations.cover(10, {"country"})


def test_catching_up_outdates_everything_older(generations: Generations) -> None:
    generations.catch_up(12)
    assert not generations.cover(11, {"guide"})
    assert generations.cover(12, {"guide"})


def test_catching_up_with_what_is_known_outdates_nothing(generations: Generations) -> None:
    generations.hear(11, ["country"])
    generations.catch_up(11)
    assert generations.cover(10, {"company"})


def test_a_counter_that_starts_again_outdates_everything(generations: Generations) -> None:
    generations.catch_up(0)
    assert not generations.cover(10, {"country"})
    assert generations.cover(0, {"country"})


def test_what_is_newer_than_this_process_has_heard_of_cannot_be_judged(generations: Generations) -> None:
    assert not generations.cover(11, {"country"})


def test_a_kind_counts_as_touched_for_the_given_time(generations: Generations) -> None:
    generations.hear(11, ["country"])
    assert generations.touched_within(60, {"country"})
    assert not generations.touched_within(0, {"country"})


def test_catching_up_touches_every_kind() -> None:
    generations = Generations()
    assert not generations.touched_within(60, ALL_KINDS)
    generations.catch_up(1)
    assert all(generations.touched_within(60, {kind}) for kind in ALL_KINDS)
