"""Time from a commit until searches see it: at a steady rate of changes, alone and during a large fan-out."""

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
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.datasets import Catalogue, catalogue, clear_outbox
from scripts.benchmark.processes import worker_process
from scripts.dev_stack.context import running_stack
from scripts.errors import CliError

MARKS = 1_000_000
"""First of the numbers of spots by which changes are recognised; no sample departure has so many spots."""
POLL_SECONDS = 0.05
"""Seconds between two polls of the index: measured times are up to this much too long."""
TIMEOUT_SECONDS = 60.0

Database: TypeAlias = "asyncpg.Connection[Any]"


@dataclass
class LagSamples:
    """Seconds from each commit until a search finds the change."""

    what: str
    seconds: list[float] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        return quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


def measure(data: Path, departures: int, rate: int, seconds: float, report: Report) -> list[LagSamples]:
    """Measure how late changes are. Raises: CliError, if another benchmark runs, or if changes do not arrive."""
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue and index")
        made = catalogue(departures, services, TODAY)
        asyncio.run(clear_outbox(made.settings))
        with worker_process(made.env, data / "freshness.log"):
            return asyncio.run(_measure(made, rate, seconds, report))


async def _measure(made: Catalogue, rate: int, seconds: float, report: Report) -> list[LagSamples]:
    async with open_change_writer(made, rate) as writer, _database(made) as other:
        report(f"{rate} changes a second for {seconds:.0f} s")
        alone = await writer.run(f"{rate} changes/s", seconds)
        company, size = await _largest_company(other)
        report(f"the same, and a company with {size:,} departures is renamed")
        await other.execute("UPDATE companies SET name = name || '.' WHERE id = $1", company)
        during_fan_out = await writer.run(f"and a company with {size:,} departures renamed", seconds)
        await other.execute("UPDATE companies SET name = rtrim(name, '.') WHERE id = $1", company)
    return [alone, during_fan_out]


@asynccontextmanager
async def open_change_writer(made: Catalogue, rate: int) -> AsyncIterator["ChangeWriter"]:
    """Yield a writer of `rate` changes a second beside a worker, and undo its changes at the end of the block."""
    es = clients.elasticsearch(made.settings.elasticsearch_url, timeout=30)
    async with _database(made) as database, es:
        before = await database.fetch("SELECT id, spots_left FROM trip_occurrences ORDER BY id")
        await _wait_until_outbox_is_empty(database)
        try:
            yield ChangeWriter(database, es, made.settings.elasticsearch_alias, rate)
        finally:
            await _restore(database, before)
        await _wait_until_outbox_is_empty(database)


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


async def _restore(database: Database, before: Sequence[asyncpg.Record]) -> None:
    ids, spots = zip(*before, strict=True)
    await database.execute(
        "UPDATE trip_occurrences SET spots_left = spots FROM unnest($1::int[], $2::int[]) AS before (row, spots)"
        " WHERE id = row AND spots_left >= $3",
        ids,
        spots,
        MARKS,
    )


async def _wait_until_outbox_is_empty(database: Database) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while await database.fetchval("SELECT EXISTS (SELECT FROM smarttrip.outbox)"):
        if time.monotonic() > deadline:
            raise CliError("The worker did not empty the outbox; its log is freshness.log.")
        await asyncio.sleep(POLL_SECONDS)


class ChangeWriter:
    """Writes changes, each of another departure so that none is overwritten unseen, and polls the index for them."""

    def __init__(self, database: Database, es: AsyncElasticsearch, alias: str, rate: int) -> None:
        self._database = database
        self._es = es
        self._alias = alias
        self._rate = rate
        self._marks = count(MARKS)
        self._pending: dict[int, float] = {}

    async def run(self, what: str, seconds: float) -> LagSamples:
        """Write for `seconds`, and return once searches have seen every change."""
        lags = LagSamples(what)
        writing = asyncio.create_task(self._write(seconds))
        deadline = time.monotonic() + seconds + TIMEOUT_SECONDS
        while not writing.done() or self._pending:
            await self._poll(lags)
            if time.monotonic() > deadline:
                raise CliError(f"{len(self._pending)} changes did not arrive; the worker's log is freshness.log.")
            await asyncio.sleep(POLL_SECONDS)
        await writing
        return lags

    async def _write(self, seconds: float) -> None:
        change = await self._database.prepare("UPDATE trip_occurrences SET spots_left = $1 WHERE id = $2")
        started = time.monotonic()
        for number in range(int(seconds * self._rate)):
            await asyncio.sleep(max(0.0, started + number / self._rate - time.monotonic()))
            mark = next(self._marks)
            await change.fetch(mark, mark - MARKS + 1)
            self._pending[mark] = time.monotonic()

    async def _poll(self, lags: LagSamples) -> None:
        if not self._pending:
            return
        response = await self._es.search(
            index=self._alias,
            query={"range": {"spots": {"gte": min(self._pending)}}},
            sort=["spots"],
            size=5000,
            source=False,
        )
        now = time.monotonic()
        found = {hit["sort"][0] for hit in response["hits"]["hits"]}
        lags.seconds += [now - self._pending.pop(mark) for mark in found & self._pending.keys()]


def table(measured: Sequence[LagSamples]) -> Table:
    columns = ("", "changes", "p50, s", "p95, s", "p99, s", "longest, s")
    rows = Table(*columns, title="From a commit until searches see it")
    for lags in measured:
        numbers = [*map(lags.percentile, (50, 95, 99)), max(lags.seconds)]
        rows.add_row(lags.what, f"{len(lags.seconds):,}", *(f"{number:.2f}" for number in numbers))
    return rows
