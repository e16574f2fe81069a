"""A server of searches behind a SearchLimit, in simulated time."""

import heapq
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count

from app.server.search_limit import SearchLimit


@dataclass
class SimulatedServer:
    """`workers` that take `work` seconds for a search each, one after the other, after a way of `delay` seconds."""

    workers: int
    work: float
    delay: float = 0.0

    @property
    def capacity(self) -> float:
        return self.workers / self.work


@dataclass
class Counts:
    """What became of the searches of a phase."""

    offered: int = 0
    refused: int = 0
    latencies: list[float] = field(default_factory=list)
    """Seconds of those that were finished."""


@dataclass
class Search:
    began: float
    measured: AbstractContextManager[None]


class Simulation:
    """Searches that arrive at a steady rate; the server may be changed between two calls of `run`."""

    def __init__(self, server: SimulatedServer) -> None:
        self.now = 0.0
        self.server = server
        self.limit = SearchLimit(clock=lambda: self.now)
        self._arriving: deque[tuple[float, Search]] = deque()
        """Searches on the way to the server, with their times of arrival."""
        self._queue: deque[Search] = deque()
        self._working: list[tuple[float, int, Search]] = []
        self._number = count()

    def run(self, rate: float, seconds: float) -> Counts:
        """Offer `rate` searches a second for so many seconds."""
        counts, began = Counts(), self.now
        for number in range(int(rate * seconds)):
            self._advance(began + number / rate, counts)
            counts.offered += 1
            if self.limit.can_admit():
                self._begin()
            else:
                counts.refused += 1
        self._advance(began + seconds, counts)
        return counts

    def _begin(self) -> None:
        self.limit.begin()
        search = Search(self.now, self.limit.measure())
        search.measured.__enter__()
        self._arriving.append((self.now + self.server.delay, search))

    def _advance(self, until: float, counts: Counts) -> None:
        """Let all happen that is due until a time."""
        while True:
            arrival = self._arriving[0][0] if self._arriving else until
            end = self._working[0][0] if self._working else until
            if min(arrival, end) >= until:
                break
            self.now = min(arrival, end)
            if arrival <= end:
                self._queue.append(self._arriving.popleft()[1])
            else:
                self._end(heapq.heappop(self._working)[2], counts)
            while self._queue and len(self._working) < self.server.workers:
                heapq.heappush(self._working, (self.now + self.server.work, next(self._number), self._queue.popleft()))
        self.now = until

    def _end(self, search: Search, counts: Counts) -> None:
        search.measured.__exit__(None, None, None)
        self.limit.end()
        counts.latencies.append(self.now - search.began)
