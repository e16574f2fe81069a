"""Limit on searches in flight, from measured latency: more at a time than Elasticsearch works on only wait.

The limit is `gain` times what makes the server busy: the searches that it finishes in the time of one that does not
wait for others (throughput times latency, as in TCP BBR). A server that is slow but not busy, such as one far away,
finishes more the more it is sent, so its limit doubles until it is high enough; that of a busy one stays.

- *Throughput* is counted in windows; the better of the last two counts.
- *Latency* is the median of the last searches that began and ended beside few others. In a flood there are none, so
  that only `few` are admitted for a moment when it begins, and every `refresh_seconds`, or `REFRESH_LATENCIES`.

A request that was admitted counts as a search until it is known whether it becomes one: on a late event loop, or one
that floods, that takes a while. So the latency is that from the admission on.

A burst is no overload: searches are refused once as many as the limit have been in flight without a pause for
`standing_seconds`, or for `LATENCIES`, after which the throughput is known. They are not while no search has finished
for as long: a server that stalls is found by probes (`core/concurrency/stall_detector.py`).
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from statistics import median
from time import monotonic

from prometheus_client import Gauge

LIMIT = Gauge(
    "smarttrip_search_limit",
    "Searches in flight beyond which others are refused once so many have been for a while",
    multiprocess_mode="livesum",
)

LATENCIES = 3
"""Length of a burst that is none any more, in latencies."""
REFRESH_LATENCIES = 60
"""Time between two measurements of the latency in a flood, in latencies, each of which takes one or two: while so few
are admitted, a slow server with many cores idles."""


@dataclass(frozen=True, slots=True)
class SearchTuning:
    """Constants of the algorithm."""

    lowest: int = 8
    highest: int = 64
    """As many as there are connections to Elasticsearch by default."""
    burst: int = 32
    """How many are admitted for a moment; more would take a slow server longer than the timeout of a search."""
    gain: float = 2.0
    few: int = 4
    """Searches at a time that do not wait for each other, nearly; the latency is measured of as many."""
    refresh_seconds: float = 3.0
    standing_seconds: float = 0.1
    relax_seconds: float = 1.0
    """Time after the last refusal until a burst is admitted again."""
    window_seconds: float = 0.05
    window_searches: int = 8
    """Length of the windows in which the throughput is counted, at least."""


_current_search: ContextVar["PossibleSearch | None"] = ContextVar("current_search", default=None)


class PossibleSearch:
    """A request that may search or not, and is counted from when it begins."""

    def __init__(self, limit: "SearchLimit") -> None:
        self._limit = limit
        self._is_counted = False
        self.began = 0.0
        self.is_undecided = False

    def begin(self) -> None:
        """Count the request: it was admitted."""
        self._limit.in_flight += 1
        self._limit.undecided += 1
        self._is_counted = self.is_undecided = True
        self.began = self._limit.clock()

    def end(self, _finished: object = None) -> None:
        """Count the end of the request: a callback of its task."""
        self.decide()
        if self._is_counted:
            self._limit.end()

    def decide(self) -> None:
        """Count it no longer as one that may search later: it begins to, or will not."""
        if self.is_undecided:
            self.is_undecided = False
            self._limit.undecided -= 1

    @contextmanager
    def as_current(self) -> Iterator[None]:
        """Let tasks that begin in the block be parts of the request."""
        token = _current_search.set(self)
        try:
            yield
        finally:
            _current_search.reset(token)


def rule_out_search() -> None:
    """Say that the current request does not search in Elasticsearch, or that another one does so for it."""
    request = _current_search.get()
    if request is not None:
        request.decide()


class SearchLimit:
    def __init__(self, tuning: SearchTuning | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._tuning = tuning or SearchTuning()
        self.clock = clock
        self.in_flight = 0
        """Requests that were admitted and have not ended."""
        self.undecided = 0
        """Those of them that may search later."""
        self.searching = 0
        """Searches in Elasticsearch."""
        self._limit = self._tuning.lowest
        LIMIT.set(self._limit)
        self._throughput = self._last_throughput = 0.0
        """Searches per second: the better of the last two counts, and the last."""
        self._finished = 0
        now = clock()
        self._counted_at = self._finished_at = now
        self._latencies: deque[tuple[float, float]] = deque(maxlen=self._tuning.few)
        """Times at which searches finished that had few others beside them, and their seconds."""
        self._crowded_since: float | None = None
        """When as many as the limit were in flight, and have been since."""
        self._refused_at = self._flooded_at = -self._tuning.relax_seconds
        """When a search was refused last, and when the flood began that it was a part of."""

    @property
    def is_idle(self) -> bool:
        """Whether so few are in flight that one more fits in any case, whatever it is answered from."""
        return self._occupied < self._tuning.few

    @property
    def _occupied(self) -> int:
        """How many places are taken. A search goes on when its request has been answered from elsewhere."""
        return max(self.in_flight, self.searching)

    def can_admit(self) -> bool:
        """Return whether one more request that may search fits. Ask only for one that is not cached: a refusal counts
        as a sign of a flood."""
        now, tuning = self.clock(), self._tuning
        is_refusing = now - self._refused_at < tuning.relax_seconds
        limit = tuning.few if is_refusing and not self._is_fresh(now) else self._limit
        # Requests that wait for another one's search crowd nothing.
        if self._occupied < limit or 2 * (self.searching + self.undecided) < limit:
            self._crowded_since = None
            return True
        if self._crowded_since is None:
            self._crowded_since = now
        if not is_refusing and self._is_burst(now):
            return True
        if not is_refusing:
            # The latency known so far is that of calmer times.
            self._flooded_at = now
        self._refused_at = now
        return False

    def _is_burst(self, now: float) -> bool:
        """Return whether more are in flight than the limit, but not for long, or for want of any response."""
        tuning = self._tuning
        assert self._crowded_since is not None
        standing = max(tuning.standing_seconds, LATENCIES * self._latency)
        # A process that had nothing to search for has finished nothing either.
        if now - max(self._finished_at, self._crowded_since) >= standing:
            return self.searching + self.undecided < tuning.highest
        return self._occupied < tuning.burst and now - self._crowded_since < standing

    def begin(self) -> PossibleSearch:
        """Count a request that was admitted."""
        request = PossibleSearch(self)
        request.begin()
        return request

    def end(self) -> None:
        """Count the end of a request."""
        self.in_flight -= 1
        if self._occupied < self._limit:
            self._crowded_since = None

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measure a search, from the admission of the request that makes it; one that fails says nothing about the
        latency."""
        request = _current_search.get()
        began = self.clock()
        if request is not None and request.is_undecided:
            began = request.began
            request.decide()
        self.searching += 1
        among = self.searching
        try:
            yield
            self._finish(among, began)
        finally:
            self.searching -= 1

    @property
    def _latency(self) -> float:
        """Seconds that a search takes beside few others; 0 while none is known."""
        return median([seconds for _, seconds in self._latencies]) if self._latencies else 0.0

    def _is_fresh(self, now: float) -> bool:
        """Return whether all samples of the latency are recent, and of this flood."""
        samples, tuning = self._latencies, self._tuning
        seconds = max(tuning.refresh_seconds, REFRESH_LATENCIES * self._latency)
        return len(samples) == tuning.few and samples[0][0] > max(self._flooded_at, now - seconds)

    def _finish(self, among: int, began: float) -> None:
        now = self._finished_at = self.clock()
        self._finished += 1
        if max(among, self.searching) <= self._tuning.few:
            self._latencies.append((now, now - began))
        tuning = self._tuning
        if now - self._counted_at >= tuning.window_seconds and self._finished >= tuning.window_searches:
            self._count(now)

    def _count(self, now: float) -> None:
        throughput = self._finished / (now - self._counted_at)
        self._throughput, self._last_throughput = max(throughput, self._last_throughput), throughput
        self._finished, self._counted_at = 0, now
        tuning = self._tuning
        limit = round(tuning.gain * self._throughput * self._latency)
        limit = max(tuning.lowest, min(tuning.highest, limit))
        if limit != self._limit:
            LIMIT.set(limit)
        self._limit = limit
