"""Which cache entries are still current, given the changes that the worker published."""

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence

from app.cache.recent_departure_changes import RecentDepartureChanges
from schemas.invalidation_message import DEPARTURE, EVERYTHING, DepartureChanges, EntityKind, InvalidationMessage


class InvalidationState:
    """The generation of the last change of each entity kind, as far as this process has received it.

    The worker numbers its changes consecutively, so a gap means that messages were lost. All entries that are older
    than the counter's present value then count as outdated, whatever kinds they depend on.
    """

    def __init__(self) -> None:
        self.current = 0
        """Generation of the last change."""
        self.connected = False
        """Whether messages are received. If not, entries of other processes cannot be trusted."""
        self.ready = asyncio.Event()
        """Set once the first attempt to subscribe has succeeded or failed."""
        self.departures = RecentDepartureChanges()
        self._oldest_valid = 0
        self._changed: dict[str, int] = {}
        self._changed_at: dict[str, float] = {}
        self._all_changed_at = float("-inf")

    def apply(
        self,
        generation: int,
        kinds: Collection[str],
        departures: DepartureChanges | None = None,
        *,
        delayed: bool = False,
    ) -> bool:
        """Record a change. Return False if `generation` is not the next one: the caller then has to `resync`.

        `departures` are all the departures that changed, if that is known. A message that was missed is `delayed`.
        """
        if generation != self.current + 1:
            return generation == self.current
        if EVERYTHING in kinds:
            self._invalidate_all(generation)
            return True
        self.current = generation
        now = time.monotonic()
        for kind in kinds:
            self._changed[kind] = generation
            self._changed_at[kind] = now
        if DEPARTURE in kinds:
            self.departures.add(generation, departures, delayed=delayed)
        return True

    def catch_up(self, messages: Sequence[InvalidationMessage]) -> None:
        """Apply the latest messages, of which none is missing between the first and the last."""
        if messages and not self.current:
            self.resync(messages[0].generation - 1)
        for message in messages:
            self.apply(message.generation, message.kinds, message.departures, delayed=True)

    def resync(self, counter: int) -> None:
        """Invalidate everything if changes were missed. `counter` is its value in Redis."""
        self.connected = True
        self.ready.set()
        if counter != self.current:
            self._invalidate_all(counter)

    def disconnect(self) -> None:
        self.connected = False
        self.ready.set()

    def is_current(self, generation: int, kinds: Iterable[EntityKind]) -> bool:
        """Return whether an entry loaded at `generation` that depends on `kinds` reflects all received changes."""
        if not self._oldest_valid <= generation <= self.current:
            return False
        changed = self._changed
        for kind in kinds:  # noqa: SIM110  # a generator takes twice as long
            if changed.get(kind, 0) > generation:
                return False
        return True

    def changed_last(self, kinds: Iterable[EntityKind]) -> int:
        """Return the generation of the last change of one of the kinds."""
        return max((self._changed.get(kind, 0) for kind in kinds), default=0) or self._oldest_valid

    def changed_within(self, seconds: float, kinds: Iterable[EntityKind]) -> bool:
        """Return whether one of the kinds changed in the last `seconds`."""
        latest = max((self._changed_at.get(kind, self._all_changed_at) for kind in kinds), default=self._all_changed_at)
        return time.monotonic() - latest < seconds

    def _invalidate_all(self, generation: int) -> None:
        self.current = self._oldest_valid = generation
        self.departures.invalidate_up_to(generation)
        self._changed.clear()
        self._changed_at.clear()
        self._all_changed_at = time.monotonic()
