"""What this process knows of the changes in the catalogue."""

import asyncio
import time
from collections.abc import Collection, Iterable

from schemas.invalidation import EVERYTHING, EntityKind


class InvalidationState:
    """Which generation last touched each kind.

    The worker numbers its changes one by one, so a number left out or out of order means that changes went unheard;
    what was made before the counter's present value then counts as outdated, of whatever kind.
    """

    def __init__(self) -> None:
        self.current = 0
        self.following = False
        """Whether changes are heard at all; if not, nothing that other processes made can be judged."""
        self.settled = asyncio.Event()
        """Set once the first try to hear changes has succeeded or failed."""
        self._complete_since = 0
        self._touched: dict[str, int] = {}
        self._touched_at: dict[str, float] = {}
        self._outdated_at = float("-inf")

    def hear(self, generation: int, kinds: Collection[str]) -> bool:
        """False if `generation` is not the next one: the caller then has to `catch_up`."""
        if generation != self.current + 1:
            return generation == self.current
        if EVERYTHING in kinds:
            self._invalidate_all(generation)
            return True
        self.current = generation
        now = time.monotonic()
        for kind in kinds:
            self._touched[kind] = generation
            self._touched_at[kind] = now
        return True

    def catch_up(self, counter: int) -> None:
        """`counter` is the present value in Redis: 0 after it was emptied."""
        self.following = True
        self.settled.set()
        if counter != self.current:
            self._invalidate_all(counter)

    def disconnect(self) -> None:
        self.following = False
        self.settled.set()

    def is_current(self, generation: int, kinds: Iterable[EntityKind]) -> bool:
        """Whether what was made at `generation` from these kinds still holds, as far as this process has heard."""
        if not self._complete_since <= generation <= self.current:
            return False
        return all(self._touched.get(kind, 0) <= generation for kind in kinds)

    def changed_within(self, seconds: float, kinds: Iterable[EntityKind]) -> bool:
        latest = max((self._touched_at.get(kind, self._outdated_at) for kind in kinds), default=self._outdated_at)
        return time.monotonic() - latest < seconds

    def _invalidate_all(self, generation: int) -> None:
        self.current = self._complete_since = generation
        self._touched.clear()
        self._touched_at.clear()
        self._outdated_at = time.monotonic()
