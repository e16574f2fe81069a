"""What is measured: each row pits the service against something that does the same work or less."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid5

from scripts.bench.contest import Contender, Cpu, Result, contest
from scripts.bench.figures import Plan
from scripts.bench.processes import Server

SERVICE = "service"
RAW = "raw Elasticsearch"
BARE = "bare server"
DATABASE = "database only"
LIMITED = "service with rate limits"

SUCCESS = '"success":true'
HITS = '"hits"'

EVENT_IDS = UUID("6f0d3a52-95a0-4a3c-8f3e-5b8f2f6d0c11")


@dataclass(frozen=True)
class Row:
    name: str
    size: int
    concurrency: int
    against: str
    results: Mapping[str, Result]

    @property
    def throughput_ratio(self) -> float:
        return self.results[SERVICE].run.per_second / self.results[self.against].run.per_second

    @property
    def p95_ratio(self) -> float:
        return self.results[SERVICE].run.p95 / self.results[self.against].run.p95


@dataclass(frozen=True)
class Measuring:
    size: int
    rounds: int
    seconds: float
    services: Cpu

    def row(self, name: str, against: str, concurrency: int, service: Contender, other: Contender) -> Row:
        contenders = {
            who: replace(contender, plan=replace(contender.plan, concurrency=concurrency, seconds=self.seconds))
            for who, contender in ((SERVICE, service), (against, other))
        }
        return Row(name, self.size, concurrency, against, contest(contenders, self.rounds, self.services))


def recommendations(server: Server, searches: Sequence[dict[str, Any]]) -> Contender:
    bodies = [[json.dumps(search)] for search in searches]
    return Contender(Plan(url=f"{server.url}/api/v2/recommendations", bodies=bodies, expected=SUCCESS), server)


def resource(server: Server, path: str) -> Contender:
    return Contender(Plan(url=server.url + path, method="GET", expected=SUCCESS), server)


def events(server: Server, count: int) -> Contender:
    """Single events, each with an id of its own."""
    plan = Plan(url=f"{server.url}/api/events", bodies=list(_events(count)), expected=SUCCESS, status=202)
    return Contender(plan, server)


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
