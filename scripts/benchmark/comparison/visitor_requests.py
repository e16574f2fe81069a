"""Requests of visitors besides searches. Each run sends others, so that no response is cached."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any
from uuid import uuid4

from schemas.api.queries import MAX_OFFSET
from scripts.benchmark.comparison.contestants import Contestant
from scripts.benchmark.comparison.scenarios import SUCCESS
from scripts.benchmark.load.plan import LoadPlan
from scripts.benchmark.load.visit import Kind, Step, visit
from scripts.benchmark.load.workload import cumulative_popularity
from scripts.benchmark.processes import Server

TRIP_PAGES = 100_000
"""At most, so that no run of a minute gets to one that is cached."""
SESSIONS = 20_000
PAGE = 50
BATCHES = 2000
EVENTS = 10
"""In a batch, as many as the web client sends at once."""
MIXED = 6000
ACCEPTED = (200, 202)
RESULTS = 30
DESKTOP = {"device_type": "desktop", "referrer": ""}


def trip_pages(server: Server, departures: int) -> Contestant:
    ids = random.sample(range(1, departures + 1), min(departures, TRIP_PAGES))
    return _reading(server, [f"/api/v2/occurrences/{departure}" for departure in ids])


def lists(server: Server, departures: int) -> Contestant:
    """Request pages of departures with their templates, each of which begins with another departure."""
    starts = min(MAX_OFFSET, departures // 4)
    paths = [f"/api/v2/occurrences?limit={PAGE}&offset={offset}" for offset in random.sample(range(starts), starts)]
    return _reading(server, paths)


def _reading(server: Server, paths: Sequence[str]) -> Contestant:
    return Contestant(LoadPlan(url=server.url, paths=paths, expected=SUCCESS), server)


def session_starts(server: Server) -> Contestant:
    """Start sessions of new visitors."""
    bodies = [[json.dumps({**_visitor(), **DESKTOP})] for _ in range(SESSIONS)]
    return Contestant(LoadPlan(url=f"{server.url}/api/session/start", bodies=bodies, expected=SUCCESS), server)


def event_batches(server: Server, departures: int, events: int = EVENTS, batches: int = BATCHES) -> Contestant:
    """Send batches of events, each of one visitor who has no session."""
    bodies = [[json.dumps({"events": [*islice(_impressions(departures), events)]})] for _ in range(batches)]
    plan = LoadPlan(url=f"{server.url}/api/events/batch", bodies=bodies, expected=SUCCESS, statuses=ACCEPTED)
    return Contestant(plan, server)


def _impressions(departures: int) -> Iterator[dict[str, Any]]:
    visitor = _visitor()
    while True:
        trip = random.randint(1, departures)
        yield {**visitor, "event_type": "impression", "source": "search_results", "trip_id": trip}


def _visitor() -> dict[str, str]:
    return {"session_id": str(uuid4()), "anonymous_id": str(uuid4())}


def mixed_requests(server: Server, searches: Sequence[Mapping[str, Any]], departures: int) -> Contestant:
    """Send what visitors do, one visit after the other, in which the nth search is as frequent as 1/n says."""
    steps = [*islice(chain.from_iterable(_visits(searches, departures)), MIXED)]
    plan = LoadPlan(
        url=server.url,
        paths=[step.path for step in steps],
        bodies=[["" if step.body is None else json.dumps(step.body)] for step in steps],
        expected=SUCCESS,
        statuses=ACCEPTED,
    )
    return Contestant(plan, server)


def _visits(searches: Sequence[Mapping[str, Any]], departures: int) -> Iterator[Iterator[Step]]:
    weights = cumulative_popularity(len(searches))
    while True:
        rng = random.Random()
        yield _steps(rng, [rng.choices(searches, cum_weights=weights)[0] for _ in range(100)], departures)


def _steps(rng: random.Random, searches: Sequence[Mapping[str, Any]], departures: int) -> Iterator[Step]:
    """Yield the steps of a visit whose searches find departures at random."""
    chosen = iter(searches)
    steps = visit(rng, lambda: next(chosen))
    trips: Sequence[int] | None = None
    while True:
        try:
            step = next(steps) if trips is None else steps.send(trips)
        except StopIteration:
            return
        yield step
        trips = rng.sample(range(1, departures + 1), RESULTS) if step.kind is Kind.SEARCH else []
