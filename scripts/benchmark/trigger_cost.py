"""What the triggers cost the platform's writers: their statements on two databases, with the triggers and without.

The databases are alike in all else, and take turns. No worker runs, so that nobody but the writers is measured.
"""

# ruff: noqa: S608 -- the statements are made of the names and numbers below.

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
from scripts.benchmark.datasets import SEED
from scripts.benchmark.suite import BUSY, TODAY, Say
from scripts.dev_stack.context import running_stack

ROWS = 10_000
"""Departures in each database; as many are changed, or added, by one statement."""
WRITERS = 8
UPDATES = 80
"""Single rows that a turn changes, by all writers together."""

SIDES = ("without", "with")


@dataclass(frozen=True)
class Side:
    """One of the two databases."""

    connections: Sequence["asyncpg.Connection[Any]"]
    departures: bytes
    """More of them, as COPY takes them."""


@dataclass(frozen=True)
class Job:
    what: str
    writers: int
    rounds: int
    turn: Callable[[Side], Awaitable[float]]
    """Answers the seconds that one statement took."""


@dataclass(frozen=True)
class Cost:
    job: Job
    milliseconds: Mapping[str, float]
    """Of one statement, by side: the median of the turns."""
    ratio: float
    """The median of those of turns that followed each other, which a busy machine disturbs least."""


def measure(data: Path, say: Say) -> list[Cost]:
    """Raises CliError where another benchmark runs."""
    with running_stack(data, busy=BUSY) as services:
        urls = {side: _address(services["DATABASE_URL"], side) for side in SIDES}
        for url in urls.values():
            asyncio.run(_create(services["DATABASE_URL"], url))
            migrations.upgrade(url)
        return asyncio.run(_measure_all(urls, say))


def _address(url: str, side: str) -> str:
    server, _, _ = url.rpartition("/")
    return f"{server}/bench_writers_{side}"


async def _create(server: str, url: str) -> None:
    name = url.rpartition("/")[2]
    connection = await asyncpg.connect(server)
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


async def _measure_all(urls: Mapping[str, str], say: Say) -> list[Cost]:
    async with AsyncExitStack() as stack:
        sides = {name: await _open(stack, url) for name, url in urls.items()}
        await sides["without"].connections[0].execute("ALTER TABLE trip_occurrences DISABLE TRIGGER USER")
        costs = []
        for job in JOBS:
            say(f"{job.what}, writers: {job.writers}")
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
        # Who goes first takes turns as well.
        for name in sorted(sides, reverse=number % 2 == 0):
            times[name].append(await job.turn(sides[name]) * 1000)
        for side in sides.values():
            for statement in TIDY:
                await side.connections[0].execute(statement)
    # The first one makes the plans and fills the caches.
    without, with_it = times["without"][1:], times["with"][1:]
    ratio = median(one / other for one, other in zip(with_it, without, strict=True))
    return Cost(job, {"without": median(without), "with": median(with_it)}, ratio)


TIDY = (
    f"DELETE FROM trip_occurrences WHERE id > {ROWS}",
    f"DELETE FROM {SCHEMA}.outbox",
    f"VACUUM trip_occurrences, {SCHEMA}.outbox",
)
"""What the worker and autovacuum would do."""


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
    drawn = Table(*columns, title="What the triggers cost writers", caption=CAPTION)
    for cost in costs:
        without, with_it = (f"{cost.milliseconds[side]:.3f}" for side in ("without", "with"))
        drawn.add_row(cost.job.what, str(cost.job.writers), without, with_it, f"{cost.ratio:.2f}")
    return drawn
