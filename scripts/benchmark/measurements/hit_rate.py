"""How many searches the cache answers while departures change, and how soon a response shows a change."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product, starmap
from pathlib import Path
from statistics import quantiles
from typing import Any

import orjson
from rich.table import Table

from core.concurrency.tasks import background_task
from scripts.benchmark.comparison.bench import SEED
from scripts.benchmark.comparison.contestants import generate
from scripts.benchmark.comparison.scenarios import CONNECTIONS, SUCCESS
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.datasets import Catalogue, catalogue, clear_outbox
from scripts.benchmark.load.plan import LoadPlan, LoadResult
from scripts.benchmark.load.raw_request import RawRequest
from scripts.benchmark.load.workload import cumulative_popularity, searches
from scripts.benchmark.measurements.departure_writer import open_writer
from scripts.benchmark.processes import Server, api_server, worker_process
from scripts.dev_stack.context import running_stack
from scripts.top.scrape import scrape

CHANGES = (0, 1, 5, 50)
"""Changes per second."""
RATES = (40, 400)
"""Searches per second."""
POPULAR = (50, 2000)
"""Different searches, of which the nth is sent in proportion to 1/n."""
SETTLE_SECONDS = 3.0
"""Seconds for which the load runs before anything is counted: responses are then as old as changes let them become."""
MIN_LAGS = 5


@dataclass(frozen=True)
class Load:
    popular: int
    """Number of different searches."""
    rate: int
    """Searches per second."""
    changes: int
    """Changes per second."""


@dataclass(frozen=True)
class HitRate:
    departures: int
    workers: int
    load: Load
    changes: float
    """Changes a second that were made."""
    kept: float
    """Part of the answered searches that no search in the index was made for."""
    p95: float
    """Milliseconds."""
    lags: Sequence[float]
    """Seconds from commits until a response shows them; empty if that was not measured."""


def measure(data: Path, sizes: Sequence[int], seconds: float, report: Report, *, workers: int) -> list[HitRate]:
    """Measure hit rates beside this number of workers.

    Raises: CliError, if another benchmark runs, or a response is wrong.
    """
    measured: list[HitRate] = []
    with running_stack(data, busy=BUSY) as services:
        for size in sizes:
            report(f"{size:,} departures: catalogue and index")
            made = catalogue(size, services, TODAY)
            asyncio.run(clear_outbox(made.settings))
            with _working(data, made, workers), api_server(made.env, data / "api.log") as api:
                for load in starmap(Load, product(POPULAR, RATES, CHANGES)):
                    row = asyncio.run(_measure(made, workers, api, load, seconds))
                    made_changes = f"{row.changes:.1f} changes/s"
                    report(f"  {load}: {made_changes}, {row.kept:.0%} kept, shown after {_lags(row) or 'unknown'}")
                    measured.append(row)
    return measured


@contextmanager
def _working(data: Path, made: Catalogue, workers: int) -> Iterator[None]:
    with ExitStack() as stack:
        for number in range(1, workers + 1):
            stack.enter_context(worker_process(made.env, data / f"worker-{number}.log"))
        yield


async def _measure(made: Catalogue, workers: int, api: Server, load: Load, seconds: float) -> HitRate:
    sender = SearchSender(api, searches(made.ids, load.popular, SEED), load.rate)
    await asyncio.to_thread(sender.send_each_once)
    async with open_writer(made.env["DATABASE_URL"], made.size) as writer, background_task(writer.run(load.changes)):
        await asyncio.to_thread(sender.run, SETTLE_SECONDS)
        before, changed, started = count_fills(api), writer.changes, time.monotonic()
        run = await asyncio.to_thread(sender.run, seconds)
        changes = (writer.changes - changed) / (time.monotonic() - started)
        kept = 1 - (count_fills(api) - before) / run.requests
        lags: Sequence[float] = ()
        if load.changes and load.popular == min(POPULAR):
            probe = writer.measure_lags(sender.most_popular, seconds)
            _, lags = await asyncio.gather(asyncio.to_thread(sender.run, seconds), probe)
    return HitRate(made.size, workers, load, changes, kept, run.p95, lags)


def count_fills(api: Server) -> float:
    """Return how many searches the API has made in the index so far."""
    return scrape([api.url]).total("smarttrip_cache_lookups_total", source="fill", kind="recommendations")


class SearchSender:
    """Popular searches at a fixed rate."""

    def __init__(self, api: Server, bodies: Sequence[dict[str, Any]], rate: int) -> None:
        self._url = f"{api.url}/api/v2/recommendations"
        self._bodies = [orjson.dumps(body).decode() for body in bodies]
        self._rate = rate
        self._choose = random.Random(SEED)

    @property
    def most_popular(self) -> RawRequest:
        return RawRequest.build("POST", self._url, self._bodies[0].encode())

    def send_each_once(self) -> None:
        self._generate(self._bodies, concurrency=8, seconds=0, requests=len(self._bodies))

    def run(self, seconds: float) -> LoadResult:
        """Send searches, of which the nth is as frequent as 1/n says."""
        weights = cumulative_popularity(len(self._bodies))
        chosen = self._choose.choices(self._bodies, cum_weights=weights, k=max(1, int(seconds * self._rate)))
        return self._generate(chosen, concurrency=CONNECTIONS, seconds=seconds, rate=self._rate)

    def _generate(self, bodies: Sequence[str], **plan: Any) -> LoadResult:
        each = [[body] for body in bodies]
        return generate(LoadPlan(url=self._url, bodies=each, expected=SUCCESS, warm_up=False, **plan))


def table(measured: Sequence[HitRate]) -> Table:
    loads = ("departures", "workers", "searches", "searches/s", "changes/s", "made")
    columns = (*loads, "kept", "p95, ms", "shown after, p50, p99, s")
    rows = Table(*columns, title="Searches answered from the cache while departures change")
    for row in measured:
        numbers = (row.departures, row.workers, row.load.popular, row.load.rate, row.load.changes)
        rows.add_row(
            *(f"{number:,}" for number in numbers),
            f"{row.changes:.1f}",
            f"{row.kept:.0%}",
            f"{row.p95:.1f}",
            _lags(row),
        )
    return rows


def _lags(row: HitRate) -> str:
    if len(row.lags) < MIN_LAGS:
        return ""
    percentiles = quantiles(row.lags, n=100, method="inclusive")
    return f"{percentiles[49]:.2f}, {percentiles[98]:.2f}"
