"""Which entries are affected by the changes of departures that a process remembers."""

import time
from collections.abc import Sequence

import pytest

from app.cache import recent_departure_changes
from app.cache.recent_departure_changes import HOLD_SECONDS, NOT_AFFECTED, OUTDATED, RecentDepartureChanges
from schemas.index_document import SearchedFields
from schemas.invalidation_message import DepartureChange, DepartureChanges
from scoring.change_impact import ChangedDeparture
from tests.scoring.builders import departure

FRESH = 0.1


def changed(since: int, *ids: int, before: int = 1, after: int = 2, age: float = FRESH) -> DepartureChanges:
    """Return changes of the spots of departures."""
    changes = [DepartureChange(id_, departure(id=id_, spots=before), departure(id=id_, spots=after)) for id_ in ids]
    return DepartureChanges(since, age, changes)


def shows(*ids: int):  # type: ignore[no-untyped-def]
    return lambda changes: any(change.id in ids for change in changes)


@pytest.fixture
def recent() -> RecentDepartureChanges:
    recent = RecentDepartureChanges(max_changes=4)
    recent.invalidate_up_to(10)
    return recent


def test_change_affects_older_entries(recent: RecentDepartureChanges) -> None:
    recent.add(11, changed(10, 1))
    assert recent.usable_until(10, shows(1)) != NOT_AFFECTED
    assert recent.usable_until(10, shows(2)) == NOT_AFFECTED
    assert recent.usable_until(11, shows(1)) == NOT_AFFECTED


def test_affected_entry_is_held_for_a_moment_after_the_change(recent: RecentDepartureChanges) -> None:
    recent.add(11, changed(10, 1, age=FRESH))
    recent.add(12, changed(10, 2, age=HOLD_SECONDS + 1))
    recent.add(13, changed(10, 3, age=FRESH), delayed=True)
    now = time.monotonic()
    assert now < recent.usable_until(10, shows(1)) <= now + HOLD_SECONDS - FRESH
    assert recent.usable_until(10, shows(2)) <= now
    assert recent.usable_until(10, shows(3)) <= now
    assert recent.usable_until(10, shows(1, 3)) <= now


def test_unknown_changes_outdate_older_entries(recent: RecentDepartureChanges) -> None:
    recent.add(11, None)
    assert recent.usable_until(10, shows()) == OUTDATED
    assert recent.usable_until(11, shows()) == NOT_AFFECTED


def test_changes_read_before_the_known_ones_outdate_older_entries(recent: RecentDepartureChanges) -> None:
    """Another worker may have written in between what this process does not know."""
    recent.add(11, changed(9, 1))
    assert recent.usable_until(10, shows()) == OUTDATED


def test_messages_after_an_unknown_one_are_known(recent: RecentDepartureChanges) -> None:
    """Those that were read before it outdate older entries once, and not those after them in turn."""
    recent.add(11, None)
    for generation in (12, 13, 14):
        recent.add(generation, changed(generation - 2, 1))
    assert recent.usable_until(11, shows()) == OUTDATED
    assert recent.usable_until(12, shows(2)) == NOT_AFFECTED
    assert recent.usable_until(12, shows(1)) not in (OUTDATED, NOT_AFFECTED)


def test_messages_read_before_forgotten_ones_outdate_older_entries(recent: RecentDepartureChanges) -> None:
    recent.add(11, changed(10, 1, 2))
    recent.add(12, changed(11, 3, 4))
    recent.add(13, changed(12, 5))
    recent.add(14, changed(10, 6))
    assert recent.usable_until(13, shows()) == OUTDATED
    assert recent.usable_until(14, shows()) == NOT_AFFECTED


def test_forgotten_changes_outdate_older_entries(recent: RecentDepartureChanges) -> None:
    recent.add(11, changed(10, 1, 2))
    recent.add(12, changed(11, 3, 4))
    assert recent.usable_until(10, shows()) == NOT_AFFECTED
    recent.add(13, changed(12, 5))
    assert recent.usable_until(10, shows()) == OUTDATED
    assert recent.usable_until(11, shows()) == NOT_AFFECTED


def test_change_has_the_states_that_others_published_since(recent: RecentDepartureChanges) -> None:
    """A worker read 1 spot and wrote 3, between which another had written 2, which an entry may show."""
    seen: list[set[int]] = []

    def look(changes: Sequence[ChangedDeparture]) -> bool:
        seen.append({state.spots for change in changes for state in change.states if state is not None})
        return False

    recent.add(11, changed(10, 1, before=1, after=2))
    recent.add(12, changed(10, 1, before=1, after=3))
    recent.usable_until(11, look)
    assert seen == [{1, 2, 3}]


def test_states_of_a_frequent_departure_do_not_accumulate() -> None:
    """Those are compared that were published since the index was read, however often it changed before."""
    recent = RecentDepartureChanges()
    states: list[SearchedFields | None] = []
    for generation in range(11, 60):
        recent.add(generation, changed(generation - 2, 1, before=generation, after=generation + 1))

    def look(changes: Sequence[ChangedDeparture]) -> bool:
        states.extend(changes[0].states)
        return False

    recent.usable_until(58, look)
    assert [state and state.spots for state in states] == [58, 59, 60]


@pytest.mark.parametrize("affected", [(), (13,), (18,), (12, 18), (*range(11, 21),)], ids=str)
def test_entry_is_compared_with_each_change_once(affected: tuple[int, ...]) -> None:
    """With those at first for which the time to hold it is over."""
    recent = RecentDepartureChanges()
    for generation in range(11, 21):
        recent.add(generation, changed(generation - 1, generation, age=HOLD_SECONDS * (generation % 2)))
    seen: list[int] = []

    def look(changes: Sequence[ChangedDeparture]) -> bool:
        seen.extend(change.id for change in changes)
        return any(change.id in affected for change in changes)

    until = recent.usable_until(10, look)
    assert (until == NOT_AFFECTED) == (not affected)
    assert (until == OUTDATED) == any(id_ % 2 for id_ in affected)
    assert len(seen) == len({*seen})


def test_entry_that_many_changes_followed_is_outdated_uncompared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_departure_changes, "MAX_COMPARED", 3)
    recent = RecentDepartureChanges()
    recent.add(11, changed(10, 1, 2))
    recent.add(12, changed(11, 3, 4))
    assert recent.usable_until(11, shows()) == NOT_AFFECTED
    assert recent.usable_until(10, shows()) == OUTDATED
