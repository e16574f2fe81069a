"""The departures that changed lately, with which cache entries are compared that depend on some departures only."""

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter

from msgspec import Struct

from schemas.index_document import SearchedFields
from schemas.invalidation_message import DepartureChange, DepartureChanges
from scoring.change_impact import ChangedDeparture

MAX_CHANGES = 4000
"""Changes that a process remembers, of some 1.5 kB each; at 50 a second those of 80 seconds."""

MAX_COMPARED = 500
"""Changes with which an entry is compared at most, in some milliseconds; after more it is outdated."""

HOLD_SECONDS = 1.0
"""Seconds after a change for which entries that it affects may still be used: frequent searches are then made at most
once in that time, however often their departures change."""

NOT_AFFECTED, OUTDATED = float("inf"), float("-inf")

IsAffected = Callable[[Sequence[ChangedDeparture]], bool]


def is_affected_by_any(changes: Sequence[ChangedDeparture]) -> bool:
    """Return whether there are changes: the `IsAffected` of what any change outdates."""
    return bool(changes)


class _Message(Struct, frozen=True):
    generation: int
    until: float
    """Time (monotonic) until which entries that it affects may be used."""
    published: Sequence[DepartureChange]
    changes: Sequence[ChangedDeparture]
    """The same, with the states that others have published since the worker read the index."""


class RecentDepartureChanges:
    def __init__(self, max_changes: int = MAX_CHANGES) -> None:
        self._max_changes = max_changes
        self._oldest_valid = 0
        """The oldest generation of which entries may be valid; those before are outdated, whatever they depend on."""
        self._known_after = 0
        """Generation after which all changes of departures are known."""
        self._messages: list[_Message] = []
        self._count = 0

    def invalidate_up_to(self, generation: int) -> None:
        """Outdate every entry made before the generation: what changed until then is unknown."""
        self._oldest_valid = self._known_after = generation
        self._messages.clear()
        self._count = 0

    def add(self, generation: int, published: DepartureChanges | None, *, delayed: bool = False) -> None:
        """Record the changes of a message, which any departure may be among if they are None.

        With `delayed`, it was sent an unknown time ago.
        """
        if published is None:
            self.invalidate_up_to(generation)
            return
        if published.since < self._known_after:
            # Some states of these departures are missing. Later messages are not concerned: they have their own.
            self._oldest_valid = generation
        held = 0.0 if delayed else max(0.0, HOLD_SECONDS - published.age)
        changes = self._with_states_since(published)
        self._messages.append(_Message(generation, time.monotonic() + held, published.changes, changes))
        self._count += len(changes)
        self._trim()

    def usable_until(self, generation: int, is_affected: IsAffected) -> float:
        """Return until when (monotonic) an entry that was right at this generation may be used."""
        messages = self._since(generation)
        if generation < self._oldest_valid or sum(len(message.changes) for message in messages) > MAX_COMPARED:
            return OUTDATED
        now = time.monotonic()
        over = [message for message in messages if message.until <= now]
        if over and is_affected([change for message in over for change in message.changes]):
            return OUTDATED
        held = sorted((message for message in messages if message.until > now), key=attrgetter("until"))
        return next((message.until for message in held if is_affected(message.changes)), NOT_AFFECTED)

    def last_not_held(self) -> int:
        """Return the generation of the last change for which no entry is held any more."""
        now = time.monotonic()
        over = (message.generation for message in reversed(self._messages) if message.until <= now)
        return max(next(over, 0), self._oldest_valid)

    def _since(self, generation: int) -> list[_Message]:
        return self._messages[bisect_right(self._messages, generation, key=attrgetter("generation")) :]

    def _with_states_since(self, published: DepartureChanges) -> list[ChangedDeparture]:
        """Return the changes with all that the index may have had instead of `before`.

        Another worker may have written a departure after `before` was read, and have published it since.
        """
        states: defaultdict[int, list[SearchedFields | None]] = defaultdict(list)
        for message in self._since(published.since):
            for other in message.published:
                states[other.id] += other.before, other.after
        for change in published.changes:
            states[change.id] += change.before, change.after
        # What one change left, the next has found, as a rule.
        return [
            ChangedDeparture(id_, [state for state, _ in groupby(states[id_])])
            for id_ in dict.fromkeys(change.id for change in published.changes)
        ]

    def _trim(self) -> None:
        while self._count > self._max_changes:
            oldest = self._messages.pop(0)
            self._known_after = oldest.generation
            self._oldest_valid = max(self._oldest_valid, oldest.generation)
            self._count -= len(oldest.changes)
