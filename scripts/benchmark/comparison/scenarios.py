"""Rows of the benchmark: each compares the service with something that does the same work or less."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from scripts.benchmark.comparison.contestants import Contestant, Cpu, Result, run_comparison
from scripts.benchmark.comparison.tracking_stream import BenchStream
from scripts.benchmark.load.plan import LoadPlan
from scripts.benchmark.processes import Server

SERVICE = "service"
RAW = "raw Elasticsearch"
CONSTANT = "bare server"
DATABASE = "database only"
LIMITED = "service with rate limits"
SEARCH = "uncached search"
"""What other requests are set beside, where they are not searches."""

UNCACHED = "uncached"
CACHED = "cached"

UNCACHED_SETTINGS = {"ANSWER_CACHE_SECONDS": "0"}
LIMITED_SETTINGS = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_RECOMMENDATIONS": "1000000/minute"}
"""Requests are counted, and none is refused."""

CONCURRENCIES = (1, 8, 64)
RATED_CONCURRENCY = 8
"""Concurrency of the closed loop from which the open loop takes its rate."""
RATE_SHARE = 0.5
"""Share of that throughput: a rate at which both sides keep up."""
CONNECTIONS = 64
"""Connections of an open loop."""

SUCCESS = '"success":true'

EVENT_IDS = UUID("6f0d3a52-95a0-4a3c-8f3e-5b8f2f6d0c11")


@dataclass(frozen=True)
class Pairing:
    """The service, and something that does the same work or less."""

    name: str
    service: Contestant
    against: str
    other: Contestant
    search: Contestant | None = None
    """An uncached search, beside which the service's request is set."""

    @property
    def contestants(self) -> dict[str, Contestant]:
        beside = {} if self.search is None else {SEARCH: self.search}
        return {SERVICE: self.service, self.against: self.other, **beside}


@dataclass(frozen=True)
class Row:
    name: str
    size: int
    concurrency: int
    """Connections; an open loop uses as many of them as it needs."""
    against: str
    results: Mapping[str, Result]
    rate: float = 0
    """Requests per second of an open loop; 0 means a closed loop."""
    search_ms: float = 0
    """CPU milliseconds of the API for an uncached search; 0 if no search is set beside the requests."""

    @property
    def at_once(self) -> str:
        return f"{self.rate:,.0f}/s" if self.rate else str(self.concurrency)

    @property
    def throughput_ratio(self) -> float:
        return self.results[SERVICE].run.per_second / self.results[self.against].run.per_second

    @property
    def p95_ratio(self) -> float:
        return self.results[SERVICE].run.p95 / self.results[self.against].run.p95

    @property
    def of_search(self) -> float | None:
        """CPU time of the API for a request as a part of that for an uncached search, where that was measured."""
        return self.results[SERVICE].cpu_ms["server"] / self.search_ms if self.search_ms else None

    @property
    def ratio(self) -> str:
        """Ratio of the throughputs, or of the p95 latencies where the rate is fixed."""
        return f"p95 {self.p95_ratio:.2f}" if self.rate else f"{self.throughput_ratio:.2f}"


@dataclass(frozen=True)
class Measurement:
    size: int
    rounds: int
    seconds: float
    services: Cpu
    stream: BenchStream
    search_ms: float = 0
    """CPU milliseconds of the API for an uncached search, where another row has measured it."""

    def rows(self, pairing: Pairing) -> Iterator[Row]:
        """Yield a row for each concurrency of a closed loop, and one for an open loop."""
        for concurrency in CONCURRENCIES:
            closed = self.row(pairing, concurrency)
            yield closed
            if concurrency == RATED_CONCURRENCY:
                rate = closed.results[SERVICE].run.per_second * RATE_SHARE
                yield self.row(replace(pairing, name=f"{pairing.name}, open"), CONNECTIONS, rate)

    def row(self, pairing: Pairing, concurrency: int, rate: float = 0) -> Row:
        # As a worker would, so that no row starts with entries of others.
        self.stream.clear()
        contestants = {
            who: replace(
                contestant,
                plan=replace(contestant.plan, concurrency=concurrency, seconds=self.seconds, rate=rate),
            )
            for who, contestant in pairing.contestants.items()
        }
        results = run_comparison(contestants, self.rounds, self.services)
        search_ms = results[SEARCH].cpu_ms["server"] if pairing.search else self.search_ms
        return Row(pairing.name, self.size, concurrency, pairing.against, results, rate, search_ms)


def recommendations(server: Server, searches: Sequence[dict[str, Any]]) -> Contestant:
    bodies = [[json.dumps(search)] for search in searches]
    return Contestant(LoadPlan(url=f"{server.url}/api/v2/recommendations", bodies=bodies, expected=SUCCESS), server)


def resource(server: Server, path: str) -> Contestant:
    return Contestant(LoadPlan(url=server.url + path, expected=SUCCESS), server)


def events(server: Server, count: int) -> Contestant:
    """Send single events, each with an id of its own."""
    plan = LoadPlan(url=f"{server.url}/api/events", bodies=list(_events(count)), expected=SUCCESS, statuses=(202,))
    return Contestant(plan, server)


def _events(count: int) -> Iterator[list[str]]:
    for number in range(count):
        visitor = str(uuid5(EVENT_IDS, f"visitor {number % 100}"))
        event = {
            "event_id": str(uuid5(EVENT_IDS, str(number))),
            "event_type": "impression",
            "session_id": visitor,
            "anonymous_id": visitor,
            "trip_id": number % 1000 + 1,
            "source": "search_results",
        }
        yield [json.dumps(event)]
