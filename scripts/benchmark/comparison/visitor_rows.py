"""Rows of what visitors request besides searches: trip pages, lists, sessions, events, and all of it.

Each is set beside a bare route, or what stores events by one statement, and beside an uncached search.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import asyncpg

from scripts.benchmark.baselines.servers import event_statement
from scripts.benchmark.comparison.bench import Bench
from scripts.benchmark.comparison.contestants import Contestant
from scripts.benchmark.comparison.scenarios import (
    CONNECTIONS,
    CONSTANT,
    Measurement,
    Pairing,
    Row,
    recommendations,
)
from scripts.benchmark.comparison.visitor_requests import (
    event_batches,
    lists,
    mixed_requests,
    session_starts,
    trip_pages,
)
from scripts.benchmark.datasets import clear_outbox
from scripts.benchmark.processes import Server, without_idle

TRIP_PAGE = "trip page"
LIST = "list of 50"
SESSION = "session start"
EVENTS = "ten events into Postgres"
MIX = "visitors' mix"

STATEMENT = "bare statement"

AT_ONCE = 8
EVENT_BATCHES_PER_SECOND = 100.0
MIXED_PER_SECOND = 100.0
IDLE_SECONDS = 3.0
FORGET = "TRUNCATE users, sessions, events, trip_interactions, recommendation_requests CASCADE"


@dataclass(frozen=True)
class Tracked:
    """An API and a worker, and their CPU time beyond that of idling."""

    api: Server
    worker: Server
    measurement: Measurement


def forget_visitors(bench: Bench) -> None:
    """Delete what earlier runs have stored of visitors."""

    async def truncate() -> None:
        connection = await asyncpg.connect(bench.catalogue.env["DATABASE_URL"])
        await connection.execute(FORGET)
        await connection.close()

    asyncio.run(truncate())


def page_rows(bench: Bench, measurement: Measurement, server: Server) -> Iterator[Row]:
    """Yield the rows of requests that are answered at once. The server caches no searches."""
    search, size = recommendations(server, bench.mix), bench.catalogue.size
    for name, service in (
        (TRIP_PAGE, trip_pages(server, size)),
        (LIST, lists(server, size)),
        (SESSION, session_starts(server)),
    ):
        with bench.constant(service) as constant:
            yield measurement.row(Pairing(name, service, CONSTANT, constant, search), AT_ONCE)


@contextmanager
def tracked(bench: Bench, measurement: Measurement, search_ms: float) -> Iterator[Tracked]:
    """Start a worker, and an API that caches searches. An uncached search takes so many milliseconds of its CPU."""
    measurement.stream.clear()
    asyncio.run(clear_outbox(bench.catalogue.settings))
    with bench.worker() as worker, bench.api("tracked") as api:
        cpu = without_idle(bench.services_cpu({"worker": worker}), IDLE_SECONDS)
        yield Tracked(api, worker, replace(measurement, services=cpu, search_ms=search_ms))


def tracked_rows(bench: Bench, system: Tracked) -> Iterator[Row]:
    """Yield the rows of requests whose work ends in the worker, at rates at which it keeps up."""
    measurement, size = system.measurement, bench.catalogue.size
    events = _stored(measurement, event_batches(system.api, size))
    with bench.baseline(event_statement) as server:
        bare = Contestant(replace(events.plan, url=f"{server.url}/"), server)
        yield measurement.row(Pairing(EVENTS, events, STATEMENT, bare), CONNECTIONS, EVENT_BATCHES_PER_SECOND)
    mix = _stored(measurement, mixed_requests(system.api, bench.mix, size))
    with bench.constant(mix) as constant:
        yield measurement.row(Pairing(MIX, mix, CONSTANT, constant), CONNECTIONS, MIXED_PER_SECOND)


def _stored(measurement: Measurement, contestant: Contestant) -> Contestant:
    return replace(contestant, settle=measurement.stream.wait_until_stored)
