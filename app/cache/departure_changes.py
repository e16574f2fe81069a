"""The departures that changed lately, with which cache entries are compared that depend on some departures only."""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter

from msgspec import Struct

from schemas.invalidation import DepartureChange, DepartureChanges
from scoring.affected import ChangedDeparture

MAX_CHANGES = 4000
"""Changes that a process remembers, of some 1.5 kB each; at 50 a second those of 80 seconds."""

HOLD_SECONDS = 1.5
"""Seconds after a change for which entries that it affects may still be used: frequent searches are then made at most
once in that time, however often their departures change."""

NOT_AFFECTED, OUTDATED = float("inf"), float("-inf")

IsAffected = Callable[[Sequence[ChangedDeparture]], bool]


class _Message(Struct, frozen=True):
    generation: int
    until: float
    """Time (monotonic) until which entries that it affects may be used."""
    changes: Sequence[ChangedDeparture]


class RecentDepartureChanges:
    def __init__(self, max_changes: int = MAX_CHANGES) -> None:
        self._max_changes = max_changes
        self._complete_since = 0
        """Generation after which all changes of departures are known."""
        self._messages: list[_Message] = []
        self._count = 0

    def forget(self, generation: int) -> None:
        """Record that any departure may have changed up to this generation."""
        self._complete_since = generation
        self._messages.clear()
        self._count = 0

    def add(self, generation: int, published: DepartureChanges | None, *, delayed: bool = False) -> None:
        """Record the changes of a message, which any departure may be among if they are None.

        With `delayed`, it was sent an unknown time ago.
        """
        if published is None or published.since < self._complete_since:
            self.forget(generation)
            return
        held = 0.0 if delayed else max(0.0, HOLD_SECONDS - published.age)
        changes = [self._with_states_since(change, published.since) for change in published.changes]
        self._messages.append(_Message(generation, time.monotonic() + held, changes))
        self._count += len(changes)
        self._trim()

    def usable_until(self, generation: int, is_affected: IsAffected) -> float:
        """Return until when (monotonic) an entry that was right at this generation may be used."""
        if generation < self._complete_since:
            return OUTDATED
        messages = self._messages[bisect_right(self._messages, generation, key=attrgetter("generation")) :]
        if not is_affected([change for message in messages for change in message.changes]):
            return NOT_AFFECTED
        return min(message.until for message in messages if len(messages) == 1 or is_affected(message.changes))

    def _with_states_since(self, change: DepartureChange, since: int) -> ChangedDeparture:
        """Return the change with all that the index may have had instead of `before`.

        Another worker may have written the departure after `before` was read, and have published it since.
        """
        states = [change.before]
        for message in self._messages[bisect_right(self._messages, since, key=attrgetter("generation")) :]:
            states += [state for other in message.changes if other.id == change.id for state in other.states]
        return ChangedDeparture.of(change.id, [*states, change.after])

    def _trim(self) -> None:
        while self._count > self._max_changes:
            oldest = self._messages.pop(0)
            self._complete_since = oldest.generation
            self._count -= len(oldest.changes)
