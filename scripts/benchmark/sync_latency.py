"""How soon searches see a change: single changes at a steady rate, and the same while a large fan-out is under way."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import Any, TypeAlias

import asyncpg
from elasticsearch import AsyncElasticsearch
from rich.table import Table

from core import clients
from scripts.benchmark.datasets import Catalogue, catalogue
from scripts.benchmark.processes import serving
from scripts.benchmark.reindex_speed import forget_changes
from scripts.benchmark.suite import BUSY, TODAY, Say
from scripts.dev_stack.context import running_stack
from scripts.dev_stack.processes import SMARTTRIP
from scripts.errors import CliError

MARKS = 1_000_000
"""Changes are known by the places left that they write: the first of them. No departure of the sample has so many."""
LOOK_SECONDS = 0.05
"""Between two looks at the index: what is measured is up to so much too long."""
PATIENCE_SECONDS = 60.0

Database: TypeAlias = "asyncpg.Connection[Any]"


@dataclass
class Lags:
    """Seconds from each commit until a search finds the change."""

    what: str
    seconds: list[float] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


def measure(data: Path, departures: int, rate: int, seconds: float, say: Say) -> list[Lags]:
    """Raises CliError where another benchmark runs, and when changes don't arrive."""
    with running_stack(data, busy=BUSY) as services:
        say(f"{departures:,} departures: catalogue and index")
        made = catalogue(departures, services, TODAY)
        asyncio.run(forget_changes(made.settings))
        worker = ("/usr/bin/env", "WORKER_PORT={port}", SMARTTRIP, "worker")
        with serving(worker, data / "freshness.log", made.env):
            return asyncio.run(_measure(made, rate, seconds, say))


async def _measure(made: Catalogue, rate: int, seconds: float, say: Say) -> list[Lags]:
    es = clients.elasticsearch(made.settings.elasticsearch_url, timeout=30)
    async with _database(made) as database, _database(made) as other, es:
        writing = Writing(database, es, made.settings.elasticsearch_alias, rate)
        before = await database.fetch("SELECT id, spots_left FROM trip_occurrences ORDER BY id")
        try:
            await _nothing_waits(other)
            say(f"{rate} changes a second for {seconds:.0f} s")
            alone = await writing.go_on(f"{rate} changes/s", seconds)
            company, size = await _largest_company(other)
            say(f"the same, and a company with {size:,} departures is renamed")
            await other.execute("UPDATE companies SET name = name || '.' WHERE id = $1", company)
            beside = await writing.go_on(f"and a company with {size:,} departures renamed", seconds)
            await other.execute("UPDATE companies SET name = rtrim(name, '.') WHERE id = $1", company)
        finally:
            await _put_back(other, before)
        await _nothing_waits(other)
    return [alone, beside]


@asynccontextmanager
async def _database(made: Catalogue) -> AsyncIterator[Database]:
    connection = await asyncpg.connect(made.env["DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()


async def _largest_company(database: Database) -> tuple[int, int]:
    (row,) = await database.fetch(
        "SELECT company_id, count(*) FROM trip_occurrences JOIN trip_templates ON trip_template_id = trip_templates.id"
        " GROUP BY company_id ORDER BY count(*) DESC LIMIT 1"
    )
    return row[0], row[1]


async def _put_back(database: Database, before: Sequence[asyncpg.Record]) -> None:
    ids, spots = zip(*before, strict=True)
    await database.execute(
        "UPDATE trip_occurrences SET spots_left = spots FROM unnest($1::int[], $2::int[]) AS before (row, spots)"
        " WHERE id = row AND spots_left >= $3",
        ids,
        spots,
        MARKS,
    )


async def _nothing_waits(database: Database) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await database.fetchval("SELECT EXISTS (SELECT FROM smarttrip.outbox)"):
        if time.monotonic() > deadline:
            raise CliError("The worker doesn't get to the end of the outbox; its log is freshness.log.")
        await asyncio.sleep(LOOK_SECONDS)


class Writing:
    """Each change is of another departure, so that none is overtaken before it was seen."""

    def __init__(self, database: Database, es: AsyncElasticsearch, alias: str, rate: int) -> None:
        self._database = database
        self._es = es
        self._alias = alias
        self._rate = rate
        self._marks = count(MARKS)
        self._unseen: dict[int, float] = {}

    async def go_on(self, what: str, seconds: float) -> Lags:
        """Until all of it was seen."""
        lags = Lags(what)
        writing = asyncio.create_task(self._write(seconds))
        deadline = time.monotonic() + seconds + PATIENCE_SECONDS
        while not writing.done() or self._unseen:
            await self._look(lags)
            if time.monotonic() > deadline:
                raise CliError(f"{len(self._unseen)} changes did not arrive; the worker's log is freshness.log.")
            await asyncio.sleep(LOOK_SECONDS)
        await writing
        return lags

    async def _write(self, seconds: float) -> None:
        change = await self._database.prepare("UPDATE trip_occurrences SET spots_left = $1 WHERE id = $2")
        started = time.monotonic()
        for number in range(int(seconds * self._rate)):
            await asyncio.sleep(max(0.0, started + number / self._rate - time.monotonic()))
            mark = next(self._marks)
            await change.fetch(mark, mark - MARKS + 1)
            self._unseen[mark] = time.monotonic()

    async def _look(self, lags: Lags) -> None:
        if not self._unseen:
            return
        answer = await self._es.search(
            index=self._alias,
            query={"range": {"spots": {"gte": min(self._unseen)}}},
            sort=["spots"],
            size=5000,
            source=False,
        )
        now = time.monotonic()
        found = {hit["sort"][0] for hit in answer["hits"]["hits"]}
        lags.seconds += [now - self._unseen.pop(mark) for mark in found & self._unseen.keys()]


def table(measured: Sequence[Lags]) -> Table:
    columns = ("", "changes", "p50, s", "p95, s", "p99, s", "longest, s")
    drawn = Table(*columns, title="From a commit until searches see it")
    for lags in measured:
        figures = [*map(lags.percentile, (50, 95, 99)), max(lags.seconds)]
        drawn.add_row(lags.what, f"{len(lags.seconds):,}", *(f"{figure:.2f}" for figure in figures))
    return drawn
