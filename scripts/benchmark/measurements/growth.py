"""How costs grow with the catalogue: CPU per search, memory, size of the index, a full reindex, and freshness."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from rich.table import Table

from core import clients
from scripts.benchmark.comparison.bench import DISTINCT_SEARCHES, SEED
from scripts.benchmark.comparison.contestants import Contestant, Result, generate, run_comparison
from scripts.benchmark.comparison.scenarios import SERVICE, UNCACHED_SETTINGS, recommendations
from scripts.benchmark.comparison.suite import BUSY, ELASTICSEARCH_WARM_UP_SECONDS, TODAY, Report
from scripts.benchmark.datasets import Catalogue, catalogue, clear_outbox
from scripts.benchmark.load.workload import searches
from scripts.benchmark.measurements.sync_latency import LagSamples, open_change_writer
from scripts.benchmark.processes import api_server, measure_cpu, measure_memory, worker_process
from scripts.dev_stack.context import running_stack

CLIENTS = 8
ROUNDS = 3
MEASURED = ("api", "worker", "elasticsearch")
"""Parts of the system whose memory is shown."""


@dataclass(frozen=True)
class Growth:
    """What one catalogue costs."""

    departures: int
    reindex_seconds: float
    index_mb: float
    uncached: Result
    """Searches by eight clients."""
    memory_mb: Mapping[str, float]
    """Resident memory at the end, by part of the system."""
    lags: LagSamples
    """Times from commits until searches see them."""

    @property
    def search_ms(self) -> float:
        """CPU milliseconds that a search costs the API and Elasticsearch."""
        return self.uncached.cpu_ms["server"] + self.uncached.cpu_ms["elasticsearch"]


def measure(data: Path, sizes: Sequence[int], rate: int, seconds: float, report: Report) -> list[Growth]:
    """Measure each size. Raises: CliError, if another benchmark runs, or changes do not arrive."""
    measured = []
    with running_stack(data, busy=BUSY) as services:
        for size in sizes:
            report(f"{size:,} departures: catalogue and index")
            made = catalogue(size, services, TODAY)
            asyncio.run(clear_outbox(made.settings))
            measured.append(_measure(data, made, rate, seconds, report))
    return measured


def _measure(data: Path, made: Catalogue, rate: int, seconds: float, report: Report) -> Growth:
    uncached = {**made.env, **UNCACHED_SETTINGS}
    with api_server(uncached, data / "api.log") as api, worker_process(made.env, data / "freshness.log") as sync:
        report("  uncached searches")
        mix = _closed_loop(recommendations(api, searches(made.ids, DISTINCT_SEARCHES, SEED)), seconds)
        generate(replace(mix.plan, seconds=ELASTICSEARCH_WARM_UP_SECONDS, warm_up=False))
        results = run_comparison({SERVICE: mix}, ROUNDS, measure_cpu(data))
        report(f"  {rate:,} changes a second")
        lags, index_mb = asyncio.run(_measure_index(made, rate, seconds))
        memory = measure_memory(data, {"api": api, "worker": sync})
    return Growth(made.size, made.reindex_seconds, index_mb, results[SERVICE], memory, lags)


def _closed_loop(contestant: Contestant, seconds: float) -> Contestant:
    return replace(contestant, plan=replace(contestant.plan, concurrency=CLIENTS, seconds=seconds))


async def _measure_index(made: Catalogue, rate: int, seconds: float) -> tuple[LagSamples, float]:
    """Return how late changes are, and the size of the index, in MB, before them."""
    settings = made.settings
    async with clients.elasticsearch(settings.elasticsearch_url, timeout=30) as es:
        stats = await es.indices.stats(index=settings.elasticsearch_alias, metric="store")
    async with open_change_writer(made, rate) as writer:
        lags = await writer.run(f"{rate} changes/s", seconds)
    return lags, stats["_all"]["primaries"]["store"]["size_in_bytes"] / 1e6


def table(measured: Sequence[Growth]) -> Table:
    columns = ("departures", "reindex, s", "index, MB", "uncached/s", "p50, p95, ms", "API, ms", "Elasticsearch, ms")
    memory = [f"{part}, MB" for part in MEASURED]
    rows = Table(
        *columns, *memory, "seen after, p50, p99, s", title="Growth of the catalogue", caption=_growth(measured)
    )
    for growth in measured:
        run, cpu = growth.uncached.run, growth.uncached.cpu_ms
        rows.add_row(
            f"{growth.departures:,}",
            f"{growth.reindex_seconds:.1f}",
            f"{growth.index_mb:,.0f}",
            f"{run.per_second:,.0f}",
            f"{run.p50:.1f}, {run.p95:.1f}",
            f"{cpu['server']:.2f}",
            f"{cpu['elasticsearch']:.2f}",
            *(f"{growth.memory_mb[part]:,.0f}" for part in MEASURED),
            f"{growth.lags.percentile(50):.2f}, {growth.lags.percentile(99):.2f}",
        )
    return rows


def _growth(measured: Sequence[Growth]) -> str:
    steps = [
        f"from {small.departures:,} to {large.departures:,} departures {large.search_ms / small.search_ms:.1f} times"
        for small, large in pairwise(measured)
    ]
    return f"CPU of a search: {', '.join(steps)} as much" if steps else ""
