"""Cost of our triggers for applications that write: the same statements on two databases, with and without triggers.

The databases are otherwise identical, and take turns. No worker runs, so that only the writers are measured.
"""

# ruff: noqa: S608 -- the statements consist of names and numbers in this file.

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
from rich.table import Table

import migrations
from schemas.tables import SCHEMA, TripOccurrence
from scripts import sample_data
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.datasets import SEED
from scripts.dev_stack.context import running_stack

ROWS = 10_000
"""Departures in each database; a statement on many rows changes, or adds, as many."""
WRITERS = 8
UPDATES = 80
"""Single-row updates in a turn, by all writers together."""

SIDES = ("without", "with")


@dataclass(frozen=True)
class Side:
    """One of the two databases."""

    connections: Sequence["asyncpg.Connection[Any]"]
    departures: bytes
    """More departures, in the format of COPY."""


@dataclass(frozen=True)
class Job:
    what: str
    writers: int
    rounds: int
    turn: Callable[[Side], Awaitable[float]]
    """Runs one turn; returns the seconds per statement."""


@dataclass(frozen=True)
class Cost:
    job: Job
    milliseconds: Mapping[str, float]
    """Median of the turns for one statement, by side."""
    ratio: float
    """Median ratio of consecutive turns, which other load on the machine disturbs least."""


def measure(data: Path, report: Report) -> list[Cost]:
    """Measure the cost of triggers. Raises: CliError, if another benchmark runs."""
    with running_stack(data, busy=BUSY) as services:
        urls = {side: _database_url(services["DATABASE_URL"], side) for side in SIDES}
        for url in urls.values():
            asyncio.run(_recreate(services["DATABASE_URL"], url))
            migrations.upgrade(url)
        return asyncio.run(_measure_all(urls, report))


def _database_url(url: str, side: str) -> str:
    server, _, _ = url.rpartition("/")
    return f"{server}/bench_writers_{side}"


async def _recreate(server: str, url: str) -> None:
    name = url.rpartition("/")[2]
    connection = await asyncpg.connect(server)
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


async def _measure_all(urls: Mapping[str, str], report: Report) -> list[Cost]:
    async with AsyncExitStack() as stack:
        sides = {name: await _open(stack, url) for name, url in urls.items()}
        await sides["without"].connections[0].execute("ALTER TABLE trip_occurrences DISABLE TRIGGER USER")
        costs = []
        for job in JOBS:
            report(f"{job.what}, writers: {job.writers}")
            costs.append(await _measure(job, sides))
        return costs


async def _open(stack: AsyncExitStack, url: str) -> Side:
    await sample_data.seed(url, ROWS, SEED, today=TODAY)
    connections = [await asyncpg.connect(url) for _ in range(WRITERS)]
    for connection in connections:
        stack.push_async_callback(connection.close)
    await connections[0].execute("VACUUM ANALYZE")
    return Side(connections, await _more_departures(connections[0]))


COLUMNS = [column.name for column in TripOccurrence.__table__.columns]


async def _more_departures(connection: "asyncpg.Connection[Any]") -> bytes:
    values = [f"id + {ROWS}" if name == "id" else name for name in COLUMNS]
    copied = BytesIO()
    await connection.copy_from_query(f"SELECT {', '.join(values)} FROM trip_occurrences", output=copied)
    return copied.getvalue()


async def _measure(job: Job, sides: Mapping[str, Side]) -> Cost:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(job.rounds + 1):
        # Alternate which side goes first.
        for name in sorted(sides, reverse=number % 2 == 0):
            times[name].append(await job.turn(sides[name]) * 1000)
        for side in sides.values():
            for statement in CLEAN_UP:
                await side.connections[0].execute(statement)
    # The first round plans the statements and fills the caches.
    without, with_it = times["without"][1:], times["with"][1:]
    ratio = median(one / other for one, other in zip(with_it, without, strict=True))
    return Cost(job, {"without": median(without), "with": median(with_it)}, ratio)


CLEAN_UP = (
    f"DELETE FROM trip_occurrences WHERE id > {ROWS}",
    f"DELETE FROM {SCHEMA}.outbox",
    f"VACUUM trip_occurrences, {SCHEMA}.outbox",
)
"""Statements that do the work of the worker and autovacuum between turns."""


async def _single_rows(assignment: str, writers: int, side: Side) -> float:
    statement = f"UPDATE trip_occurrences SET {assignment} WHERE id = $1"

    async def write(number: int) -> None:
        own = range(number + 1, ROWS + 1, writers)
        for row in random.choices(own, k=UPDATES // writers):
            await side.connections[number].execute(statement, row)

    started = time.perf_counter()
    await asyncio.gather(*map(write, range(writers)))
    return (time.perf_counter() - started) / UPDATES


async def _all_rows(assignment: str, side: Side) -> float:
    started = time.perf_counter()
    await side.connections[0].execute(f"UPDATE trip_occurrences SET {assignment}")
    return time.perf_counter() - started


async def _copy(side: Side) -> float:
    started = time.perf_counter()
    await side.connections[0].copy_to_table("trip_occurrences", source=BytesIO(side.departures), columns=COLUMNS)
    return time.perf_counter() - started


CHANGE = "spots_left = spots_left + 1"
NO_CHANGE = "spots_left = spots_left"

JOBS = (
    Job("one row", 1, 120, partial(_single_rows, CHANGE, 1)),
    Job("one row", WRITERS, 120, partial(_single_rows, CHANGE, WRITERS)),
    Job("one row, nothing changed", 1, 120, partial(_single_rows, NO_CHANGE, 1)),
    Job(f"{ROWS:,} rows", 1, 12, partial(_all_rows, CHANGE)),
    Job(f"{ROWS:,} rows, nothing changed", 1, 12, partial(_all_rows, NO_CHANGE)),
    Job(f"COPY of {ROWS:,} rows", 1, 12, _copy),
)


CAPTION = (
    "Durable commits. Of several writers: from one commit to the next; together they keep all cores busy, so that each "
    "microsecond of a trigger counts in full."
)


def table(costs: Sequence[Cost]) -> Table:
    columns = ("statement", "writers", "without, ms", "with, ms", "ratio")
    rows = Table(*columns, title="What the triggers cost writers", caption=CAPTION)
    for cost in costs:
        without, with_it = (f"{cost.milliseconds[side]:.3f}" for side in ("without", "with"))
        rows.add_row(cost.job.what, str(cost.job.writers), without, with_it, f"{cost.ratio:.2f}")
    return rows
