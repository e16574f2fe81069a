"""Admission control: an adaptive limit on the number of requests in flight, for load shedding.

A timer measures how late the event loop is, and each of its ticks updates the limit:

- The loop is on time: the process keeps up, and requests that take long wait for a dependency. The limit is the number
  in flight plus `burst`, so it can rise with every tick, up to `max_concurrency`.
- The loop is late: requests queue for the CPU. For the next `max_queue_seconds` the limit is the number of requests
  that the process has recently finished in `max_queue_seconds`, but `min_concurrency` at least, so that an admitted
  request queues for about that time. Requests that have been in flight for `long_request_seconds` can only be waiting
  for a dependency, therefore they do not count.

`app.server.shedding_protocol` rejects a request while `can_admit` is False. Searches have a lower limit of their own
(`app.server.search_limit`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from prometheus_client import Gauge
from starlette.types import Scope
from uvicorn.server import ServerState

from app.server.search_limit import SearchLimit

LIMIT = Gauge(
    "smarttrip_admission_limit",
    "Requests in flight beyond which others are rejected at the moment",
    multiprocess_mode="livesum",
)


@dataclass(frozen=True, slots=True)
class AdmissionTuning:
    """Constants of the algorithm."""

    tick_seconds: float = 0.01
    """Time between two updates of the limit while the process is busy."""
    idle_tick_seconds: float = 0.1
    """Time between two updates while it is idle; longer, since each wakes the process."""
    busy_threshold: int = 12
    """Requests in flight from which the process is busy; below `min_concurrency`, so that no tick decides too late."""
    late_seconds: float = 0.005
    """Lag of a tick from which the loop has more to do than it can."""
    max_queue_seconds: float = 0.03
    """How long a request may queue for the CPU: a small part of a response's budget, since all else slows down too."""
    min_concurrency: int = 64
    """Lowest limit, however late the loop is: so many may arrive while the process is not scheduled. Searches, of which
    so many would take long, have a lower limit of their own."""
    burst: int = 64
    """Requests admitted beyond those in flight at the last tick: their effect on the loop shows at the next one."""
    long_request_seconds: float = 0.5
    """Age from which a request is taken to wait for a dependency."""


IsCached = Callable[[Scope, bytes], bool]
"""Return whether the request with this body is answered from a cache."""


def never_cached(_scope: Scope, _body: bytes) -> bool:
    return False


class AdmissionController:
    def __init__(
        self,
        max_concurrency: int,
        exempt_paths: Set[str] = frozenset(),
        tuning: AdmissionTuning | None = None,
        *,
        search_endpoints: Set[tuple[str, str]] = frozenset(),
        is_cached: IsCached = never_cached,
    ) -> None:
        """Admit `max_concurrency` requests at most; requests for `exempt_paths` are never rejected.

        Those to `search_endpoints` (methods and paths) have a limit of their own, unless `is_cached` returns that they
        are answered from a cache.
        """
        self.exempt_paths = exempt_paths
        self.search_endpoints = search_endpoints
        self.is_cached = is_cached
        self.searches = SearchLimit()
        self.server_state = ServerState()
        """Running tasks and number of responses, counted by uvicorn; each connection sets it."""
        self.rejected = 0
        """Responses of `server_state` that were rejections."""
        self._tuning = tuning or AdmissionTuning()
        self._max = max_concurrency
        self._limit = min(max_concurrency, self._tuning.burst)
        LIMIT.set(self._limit)
        self._idle = False
        self._next_tick: asyncio.TimerHandle | None = None
        self._throughput = self._last_throughput = 0
        """Requests finished per `max_queue_seconds`: the better of the last two counts, and the last."""
        self._finished = 0
        self._counted_at = self._late_until = self._sampled_at = monotonic()
        self._sample: Set[asyncio.Task[None]] = frozenset()
        """Requests that were in flight at the last sample."""
        self._long_running: Set[asyncio.Task[None]] = frozenset()
        """Requests that were in flight at the last two samples."""

    def can_admit(self) -> bool:
        """Return whether one more request fits; ticks become frequent once the process is busy."""
        in_flight = len(self.server_state.tasks)
        if self._idle and in_flight >= self._tuning.busy_threshold:
            self.start()
        return in_flight < self._limit or self._count_unfinished() < self._limit

    def _count_unfinished(self) -> int:
        """Count the requests in flight without those that have finished and are removed in the loop's next turn.

        Their clients may have sent the next request already.
        """
        return sum(not task.done() for task in self.server_state.tasks)

    def start(self) -> None:
        """Schedule the next tick, and all later ones until `stop`."""
        self.stop()
        self._idle = len(self.server_state.tasks) < self._tuning.busy_threshold
        seconds = self._tuning.idle_tick_seconds if self._idle else self._tuning.tick_seconds
        self._next_tick = asyncio.get_running_loop().call_later(seconds, self._tick, monotonic() + seconds)

    def stop(self) -> None:
        if self._next_tick is not None:
            self._next_tick.cancel()

    def _tick(self, due: float) -> None:
        self.update(due, monotonic())
        self.start()

    def update(self, due: float, now: float) -> None:
        """Update the limit from the lag of a tick that was `due`; both are times of `monotonic`."""
        tuning, in_flight = self._tuning, self.server_state.tasks
        if now - due > tuning.late_seconds:
            self._late_until = now + tuning.max_queue_seconds
        if now - self._counted_at >= tuning.max_queue_seconds:
            self._count_finished(now)
        if now - self._sampled_at >= tuning.long_request_seconds:
            self._sample_in_flight(now)
        if now < self._late_until:
            limit = len(self._long_running & in_flight) + max(tuning.min_concurrency, self._throughput)
        else:
            limit = max(len(in_flight) + tuning.burst, self._throughput)
        limit = min(self._max, limit)
        if limit != self._limit:
            LIMIT.set(limit)
        self._limit = limit

    def _count_finished(self, now: float) -> None:
        finished = self.server_state.total_requests - self.rejected
        elapsed = now - self._counted_at
        throughput = round((finished - self._finished) * self._tuning.max_queue_seconds / elapsed)
        # The better of two counts: the process may not have been scheduled during one of them.
        self._throughput, self._last_throughput = max(throughput, self._last_throughput), throughput
        self._finished, self._counted_at = finished, now

    def _sample_in_flight(self, now: float) -> None:
        self._long_running = self._sample & self.server_state.tasks
        self._sample, self._sampled_at = frozenset(self.server_state.tasks), now


@asynccontextmanager
async def running_admission(
    max_concurrency: int,
    exempt_paths: Set[str] = frozenset(),
    tuning: AdmissionTuning | None = None,
    *,
    search_endpoints: Set[tuple[str, str]] = frozenset(),
    is_cached: IsCached = never_cached,
) -> AsyncIterator[AdmissionController]:
    """Yield a controller whose ticks run as long as the block does."""
    admission = AdmissionController(
        max_concurrency, exempt_paths, tuning, search_endpoints=search_endpoints, is_cached=is_cached
    )
    admission.start()
    try:
        yield admission
    finally:
        admission.stop()
