"""Whether one more request can be answered soon, or would only make all others wait longer.

While the event loop runs on time there is room, and what takes long waits for a dependency. Once it is late, requests
wait for this process: then it takes on no more than it has lately finished in `SOON_SECONDS`, beside those that have
been in flight for so long that they can only wait for something else.
"""

import asyncio
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager
from time import monotonic

from uvicorn.server import ServerState

TICK_SECONDS = 0.01
IDLE_TICK_SECONDS = 0.1
"""Between ticks while few are in flight: each wakes the process, and takes the CPU from others."""
LATE_SECONDS = 0.005
"""How late a tick is when the loop has more to do than it can."""
MAX_QUEUE_SECONDS = 0.03
"""How long a request may wait for others: a small part of what its answer may take, since all else is slower then."""
MIN_CONCURRENCY = 24
"""Always taken on, however late the loop is: so many may have come while the process was not given the CPU."""
BUSY_THRESHOLD = MIN_CONCURRENCY // 2
"""In flight, of which each tick may have to decide."""
LONG_SECONDS = 0.5
"""In flight for so long, a request is taken to wait for a dependency, and takes no room from others."""
BURST = 32
"""Taken on beside those in flight at the last tick: what they do to the loop is not known before the next."""


class AdmissionController:
    def __init__(self, most: int, exempt_paths: Set[str] = frozenset()) -> None:
        """`most` requests in flight is the end, however well it goes.

        Requests for `exempt_paths` are never rejected.
        """
        self.exempt_paths = exempt_paths
        self.server = ServerState()
        """Tasks that run and requests answered so far, as uvicorn counts them; every connection sets it."""
        self.refused = 0
        self._most = most
        self._allowed = min(most, BURST)
        self._calm = False
        self._next_tick: asyncio.TimerHandle | None = None
        self._finished_soon = self._finished_lately = 0
        self._answered = 0
        self._counted_at = self._late_until = self._looked_at = monotonic()
        self._in_flight: Set[asyncio.Task[None]] = frozenset()
        """When they were looked at last."""
        self._waiting: Set[asyncio.Task[None]] = frozenset()
        """Those that had been in flight at the look before as well."""

    def can_admit(self) -> bool:
        """For one more; with many in flight that is looked at more often from now on."""
        in_flight = len(self.server.tasks)
        if self._calm and in_flight >= BUSY_THRESHOLD:
            self.watch()
        return in_flight < self._allowed

    def watch(self) -> None:
        """Until `end`."""
        self.end()
        self._calm = len(self.server.tasks) < BUSY_THRESHOLD
        seconds = IDLE_TICK_SECONDS if self._calm else TICK_SECONDS
        self._next_tick = asyncio.get_running_loop().call_later(seconds, self._tick, monotonic() + seconds)

    def end(self) -> None:
        if self._next_tick is not None:
            self._next_tick.cancel()

    def _tick(self, due: float) -> None:
        self.tick(due, monotonic())
        self.watch()

    def tick(self, due: float, now: float) -> None:
        """Looks at how late it is."""
        if now - due > LATE_SECONDS:
            self._late_until = now + MAX_QUEUE_SECONDS
        if now - self._counted_at >= MAX_QUEUE_SECONDS:
            self._count_finished(now)
        if now - self._looked_at >= LONG_SECONDS:
            self._find_waiting(now)
        if now < self._late_until:
            allowed = len(self._waiting & self.server.tasks) + max(MIN_CONCURRENCY, self._finished_soon)
        else:
            allowed = max(len(self.server.tasks) + BURST, self._finished_soon)
        self._allowed = min(self._most, allowed)

    def _count_finished(self, now: float) -> None:
        answered = self.server.total_requests - self.refused
        lately = round((answered - self._answered) * MAX_QUEUE_SECONDS / (now - self._counted_at))
        # The better of two counts: during one the process may not have been given the CPU.
        self._finished_soon, self._finished_lately = max(lately, self._finished_lately), lately
        self._answered, self._counted_at = answered, now

    def _find_waiting(self, now: float) -> None:
        self._waiting = self._in_flight & self.server.tasks
        self._in_flight, self._looked_at = frozenset(self.server.tasks), now


@asynccontextmanager
async def running_admission(most: int, exempt_paths: Set[str] = frozenset()) -> AsyncIterator[AdmissionController]:
    load = AdmissionController(most, exempt_paths)
    load.watch()
    try:
        yield load
    finally:
        load.end()
