"""A server of searches behind a SearchLimit, in simulated time."""

import heapq
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from math import inf

from app.server.search_limit import PossibleSearch, SearchLimit


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
    request: PossibleSearch
    measured: AbstractContextManager[None]
    is_answered: bool = False

    def end_request(self) -> None:
        if not self.is_answered:
            self.is_answered = True
            self.request.end()


class Simulation:
    """Searches that arrive at a steady rate; the server may be changed between two calls of `run`."""

    def __init__(self, server: SimulatedServer, *, before: float = 0.0, patience: float = inf) -> None:
        """Let `before` seconds pass between the admission of a request and its search.

        Requests are answered from elsewhere `patience` seconds after their searches began, which go on.
        """
        self.now = 0.0
        self.server = server
        self.patience = patience
        self.limit = SearchLimit(clock=lambda: self.now)
        self.before = before
        self._admitted: deque[tuple[float, PossibleSearch]] = deque()
        """Requests that do not search yet, with the times at which they will."""
        self._arriving: deque[tuple[float, Search]] = deque()
        """Searches on the way to the server, with their times of arrival."""
        self._queue: deque[Search] = deque()
        self._working: list[tuple[float, int, Search]] = []
        self._hedged: deque[tuple[float, Search]] = deque()
        """Searches with the times at which their requests wait no longer."""
        self._number = count()

    def run(self, rate: float, seconds: float) -> Counts:
        """Offer `rate` searches a second for so many seconds."""
        counts, began = Counts(), self.now
        for number in range(int(rate * seconds)):
            self._advance(began + number / rate, counts)
            counts.offered += 1
            if self.limit.can_admit():
                self._admitted.append((self.now + self.before, self.limit.begin()))
            else:
                counts.refused += 1
        self._advance(began + seconds, counts)
        return counts

    def _search(self, request: PossibleSearch) -> None:
        search = Search(request, self.limit.measure())
        with request.as_current():
            search.measured.__enter__()
        self._arriving.append((self.now + self.server.delay, search))
        if self.patience < inf:
            self._hedged.append((self.now + self.patience, search))

    def _advance(self, until: float, counts: Counts) -> None:
        """Let all happen that is due until a time."""
        while True:
            beginning = self._admitted[0][0] if self._admitted else inf
            arrival = self._arriving[0][0] if self._arriving else inf
            end = self._working[0][0] if self._working else inf
            hedge = self._hedged[0][0] if self._hedged else inf
            if min(beginning, arrival, end, hedge) > until:
                break
            self.now = min(beginning, arrival, end, hedge)
            if hedge == self.now:
                self._hedged.popleft()[1].end_request()
            elif beginning == self.now:
                self._search(self._admitted.popleft()[1])
            elif arrival == self.now:
                self._queue.append(self._arriving.popleft()[1])
            else:
                self._end(heapq.heappop(self._working)[2], counts)
            while self._queue and len(self._working) < self.server.workers:
                heapq.heappush(self._working, (self.now + self.server.work, next(self._number), self._queue.popleft()))
        self.now = until

    def _end(self, search: Search, counts: Counts) -> None:
        search.measured.__exit__(None, None, None)
        search.end_request()
        counts.latencies.append(self.now - search.request.began)
