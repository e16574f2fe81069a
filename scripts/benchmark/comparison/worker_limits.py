"""How many events, and how many changes of departures, one worker stores a second when more are waiting."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from scripts.benchmark.comparison.bench import Bench
from scripts.benchmark.comparison.contestants import Cpu, generate
from scripts.benchmark.comparison.tracking_stream import BenchStream
from scripts.benchmark.comparison.visitor_requests import event_batches
from scripts.benchmark.processes import Server
from scripts.errors import CliError

EVENTS_AT_ONCE = 100
BATCHES = 300
CHANGES = 20_000
POLL_SECONDS = 0.02
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class WorkerLimit:
    what: str
    per_second: float
    cpu_ms: Mapping[str, float]
    """CPU milliseconds of each event or change, by part of the system."""


def measure_limits(bench: Bench, api: Server, stream: BenchStream, cpu: Cpu) -> Iterator[WorkerLimit]:
    """Yield the limits of the worker that runs. Raises: CliError, if it does not catch up."""
    yield _events(bench, api, stream, cpu)
    yield asyncio.run(_changes(bench, cpu))


def _events(bench: Bench, api: Server, stream: BenchStream, cpu: Cpu) -> WorkerLimit:
    plan = event_batches(api, bench.catalogue.size, EVENTS_AT_ONCE, BATCHES).plan
    generate(replace(plan, concurrency=8, seconds=0, requests=BATCHES, warm_up=False))
    waiting, started, before = stream.length(), time.monotonic(), cpu()
    stream.wait_until_stored()
    return _limit("events", waiting, started, before, cpu())


async def _changes(bench: Bench, cpu: Cpu) -> WorkerLimit:
    """Change departures in one transaction, and change them back."""
    changes = min(CHANGES, bench.catalogue.size)
    connection = await asyncpg.connect(bench.catalogue.env["DATABASE_URL"])
    started, before = time.monotonic(), cpu()
    for more in (1, -1):
        await connection.execute(
            "UPDATE trip_occurrences SET spots_left = spots_left + $1 WHERE id <= $2", more, changes
        )
        await _wait_until_searchable(connection)
    await connection.close()
    return _limit("changes of departures", 2 * changes, started, before, cpu())


async def _wait_until_searchable(connection: "asyncpg.Connection[Any]") -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while await connection.fetchval("SELECT EXISTS (SELECT FROM smarttrip.outbox)"):
        if time.monotonic() > end:
            raise CliError("The worker did not empty the outbox; its log is worker.log.")
        await asyncio.sleep(POLL_SECONDS)


def _limit(
    what: str, number: int, started: float, before: Mapping[str, float], after: Mapping[str, float]
) -> WorkerLimit:
    seconds = time.monotonic() - started
    return WorkerLimit(what, number / seconds, {part: (after[part] - before[part]) / number * 1000 for part in after})
