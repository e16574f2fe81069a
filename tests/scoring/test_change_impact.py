"""A change affects results exactly if a full sort after it gives others: random searches, every searched field."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.index_document import SEARCHED_FIELDS, TripDocument
from scoring.change_impact import ChangedDeparture, ShownList, ShownResults, ShownSearch, rank
from scoring.results import needs_relaxed_search
from tests.scoring import reference
from tests.scoring.reference import OWN, ReferencePreferences, ReferenceWeights, Shown, World
from tests.scoring.strategies import WEIGHTS, preferences_on, random_departure, world
from tests.scoring.test_ranking import a_search

SIZES = (8, 40, 150)
"""Departures of a catalogue: few, so that the relaxed search runs, and many, so that lists are full."""
WORLDS = [world(seed, size) for seed in range(6) for size in SIZES]
CHANGED_FIELDS = [name for name in SEARCHED_FIELDS if name != "id"]

Change = Callable[[random.Random, World], tuple[TripDocument | None, TripDocument | None]]
"""Return a departure of the catalogue before and after a change."""


def of_field(name: str) -> Change:
    # The month is that of the start.
    names = ("start", "month") if name in {"start", "month"} else (name,)

    def change(choose: random.Random, world: World) -> tuple[TripDocument, TripDocument]:
        departure = choose.choice(world.documents)
        other = random_departure(choose, departure.id, world.today)
        return departure, replace(departure, **{name: getattr(other, name) for name in names})

    return change


def of_all_fields(choose: random.Random, world: World) -> tuple[TripDocument, TripDocument]:
    departure = choose.choice(world.documents)
    return departure, random_departure(choose, departure.id, world.today)


def insertion(choose: random.Random, world: World) -> tuple[None, TripDocument]:
    return None, random_departure(choose, 10_001, world.today)


def deletion(choose: random.Random, world: World) -> tuple[TripDocument, None]:
    return choose.choice(world.documents), None


CHANGES: Mapping[str, Change] = {
    **{name: of_field(name) for name in CHANGED_FIELDS},
    "all fields": of_all_fields,
    "insertion": insertion,
    "deletion": deletion,
}


def changed(catalogue: World, departure: TripDocument | None, id_: int) -> World:
    """Return the catalogue with another state of the departure."""
    others = [each for each in catalogue.documents if each.id != id_]
    documents = others if departure is None else [*others, departure]
    return World(catalogue.name, catalogue.today, catalogue.private_type, dict(catalogue.continents), documents)


def id_of(*states: TripDocument | None) -> int:
    return next(state.id for state in states if state is not None)


def shown_search(
    preferences: ReferencePreferences, catalogue: World, found: list[Shown], weights: ReferenceWeights = OWN
) -> ShownSearch:
    starts = {departure.id: departure for departure in catalogue.documents}

    def shown_list(shown: list[Shown], size: int) -> ShownList:
        last = rank(shown[-1].score, starts[shown[-1].id]) if len(shown) == size else None
        return ShownList(tuple(each.id for each in shown), last)

    primary = [each for each in found if not each.is_relaxed]
    relaxed = found[len(primary) :]
    runs_relaxed = needs_relaxed_search(primary)  # type: ignore[arg-type]  # only their number counts
    second = shown_list(relaxed, 30 - len(primary)) if runs_relaxed else None
    return ShownSearch(
        a_search(catalogue, preferences, weights, as_text=False), ShownResults(shown_list(primary, 30), second)
    )


@pytest.mark.parametrize("kind", CHANGES)
@settings(max_examples=30, deadline=None)
@given(data=st.data(), catalogue=st.sampled_from(WORLDS), seed=st.integers(0, 2**32))
def test_change_affects_exactly_the_results_that_it_changes(kind: str, data: Any, catalogue: World, seed: int) -> None:
    preferences = data.draw(preferences_on(catalogue.today))
    before, after = CHANGES[kind](random.Random(seed), catalogue)
    departure = id_of(before, after)
    found = reference.recommend(preferences, catalogue)
    is_other = found != reference.recommend(preferences, changed(catalogue, after, departure))
    is_shown = departure in {shown.id for shown in found[0]}
    change = ChangedDeparture.of(departure, (before, after))
    assert shown_search(preferences, catalogue, found[0]).is_affected([change]) == (is_other or is_shown)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), catalogue=st.sampled_from(WORLDS), seed=st.integers(0, 2**32))
def test_unaffected_results_are_those_after_several_changes(data: Any, catalogue: World, seed: int) -> None:
    """Whatever the order of the changes, and if a departure changes more than once."""
    preferences, weights, choose = data.draw(preferences_on(catalogue.today)), data.draw(WEIGHTS), random.Random(seed)
    found, present, changes = reference.recommend(preferences, catalogue, weights), catalogue, []
    for kind in data.draw(st.lists(st.sampled_from([*CHANGES]), min_size=2, max_size=6)):
        if present.documents:
            before, after = CHANGES[kind](choose, present)
            changes.append(ChangedDeparture.of(id_of(before, after), (before, after)))
            present = changed(present, after, changes[-1].id)
    choose.shuffle(changes)
    if not shown_search(preferences, catalogue, found[0], weights).is_affected(changes):
        assert reference.recommend(preferences, present, weights) == found


def test_change_of_no_searched_field_affects_only_results_that_show_it() -> None:
    catalogue = world(0, 150)
    preferences = ReferencePreferences()
    found = reference.recommend(preferences, catalogue)
    shown = {each.id for each in found[0]}
    search = shown_search(preferences, catalogue, found[0])
    for departure in catalogue.documents:
        assert search.is_affected([ChangedDeparture.of(departure.id, (departure, departure))]) == (
            departure.id in shown
        )
