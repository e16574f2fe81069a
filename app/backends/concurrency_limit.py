"""Adaptive limit of the calls to a server that are under way: more when they succeed, fewer when they take too long.

A server with more calls than it can work on at a time makes all of them slow. Once they take longer than their callers
wait, it works for nobody; with fewer at a time each is in time, and the others wait here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

START = 16.0
LOWEST = 2.0
DECREASE = 0.7
"""Factor for a call that took too long."""
DECREASE_SECONDS = 0.3
"""Time between two decreases: calls that are under way at the same time are late at the same time."""


class ConcurrencyLimit:
    def __init__(self, highest: int) -> None:
        self._highest = highest
        self._limit = min(START, highest)
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._decreased_at = 0.0

    @property
    def is_full(self) -> bool:
        """Whether as many calls wait as may be under way at most."""
        return len(self._waiting) >= self._highest

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a place, first come, first served, and keep it during the block."""
        await self._acquire()
        try:
            yield
        finally:
            self._active -= 1
            self._wake()

    def increase(self) -> None:
        """Note that a call was in time: the limit grows by one in as many calls as it allows."""
        self._limit = min(self._highest, self._limit + 1 / self._limit)

    def decrease(self) -> None:
        """Note that a call took too long."""
        if monotonic() - self._decreased_at >= DECREASE_SECONDS:
            self._decreased_at = monotonic()
            self._limit = max(LOWEST, self._limit * DECREASE)

    async def _acquire(self) -> None:
        if not self._waiting and self._active + 1 <= self._limit:
            self._active += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                # It was given just before.
                self._active -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self._active + 1 <= self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._active += 1
                place.set_result(None)
