"""When several shards pay: by year of start or by continent, against one index of one shard or two."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from shutil import rmtree
from statistics import fmean, median, quantiles

from rich.table import Table

from schemas.api.preferences import Preferences
from scoring.context import SearchContext
from scripts.benchmark.comparison.bench import SEED
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.load.workload import cumulative_popularity, searches
from scripts.benchmark.measurements.installation import POPULAR
from scripts.benchmark.processes import measure_cpu
from scripts.benchmark.sharding.documents import BlockFile, ids, lookups, write_documents
from scripts.benchmark.sharding.layouts import LAYOUTS
from scripts.benchmark.sharding.loading import LoadedLayout, loaded
from scripts.benchmark.sharding.searching import RankedList, SearchRun, search
from scripts.dev_stack.context import running_stack

CLIENTS = (1, 4)
"""At the same time."""
WARM_UP_SEARCHES = 3000
"""Before the first layout is measured: they take several times as long, as the JVM still compiles."""
MIB = 1024 * 1024


@dataclass(frozen=True)
class LayoutFigures:
    """Times are in milliseconds, of one client and of four."""

    layout: str
    indexes: int
    mib: float
    load_seconds: float
    merge_seconds: float
    """After loading, until Elasticsearch had nothing left to merge."""
    asked: float
    """Indexes for each recommendation, its relaxed search included."""
    cpu_ms: Sequence[float]
    """Of Elasticsearch, for each recommendation."""
    p50: Sequence[float]
    p95: Sequence[float]
    differing: int
    """Lists that are not those of the first layout."""


def measure(data: Path, departures: int, count: int, report: Report) -> list[LayoutFigures]:
    """Measure `count` recommendations of each layout. Raises: CliError, if another benchmark runs."""
    contexts = _contexts(count)
    folder = data / "documents"
    with running_stack(data, busy=BUSY) as services:
        rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            report(f"{departures:,} departures: documents")
            files = write_documents(folder, departures, SEED, TODAY)
            cpu = measure_cpu(data)
            url = services["ELASTICSEARCH_URL"]
            return asyncio.run(measure_layouts(url, files, contexts, lambda: cpu()["elasticsearch"], report))
        finally:
            rmtree(folder)


async def measure_layouts(
    url: str,
    files: Sequence[BlockFile],
    contexts: Sequence[SearchContext],
    cpu: Callable[[], float],
    report: Report,
) -> list[LayoutFigures]:
    """Load each layout, measure it, and delete it before the next."""
    measured: list[LayoutFigures] = []
    expected: list[RankedList] = []
    for layout in LAYOUTS:
        report(f"  {layout.name}: loading")
        async with loaded(url, layout, files) as index:
            report(f"  {layout.name}: loaded in {index.seconds:.0f} s, searching")
            for _ in range(1 if measured else ceil(WARM_UP_SEARCHES / len(contexts))):
                await search(url, index, contexts, max(CLIENTS), cpu)
            runs = [await search(url, index, contexts, clients, cpu) for clients in CLIENTS]
            expected = expected or runs[0].lists
            measured.append(_figures(index, await index.size(), runs, expected))
    return measured


def _contexts(count: int) -> list[SearchContext]:
    """Return searches as the visitors of a day choose them: the nth of all as often as 1/n says."""
    bodies = searches(ids(TODAY), POPULAR, SEED)
    chosen = random.Random(SEED).choices(bodies, cum_weights=cumulative_popularity(POPULAR), k=count)
    return [SearchContext(Preferences.model_validate(body), TODAY, lookups()) for body in chosen]


def _figures(
    index: LoadedLayout, size: int, runs: Sequence[SearchRun], expected: Sequence[RankedList]
) -> LayoutFigures:
    return LayoutFigures(
        layout=index.layout.name,
        indexes=len(index.names),
        mib=size / MIB,
        load_seconds=index.seconds,
        merge_seconds=index.merge_seconds,
        asked=fmean(run.indexes for run in runs),
        cpu_ms=[run.cpu_ms for run in runs],
        p50=[median(run.milliseconds) for run in runs],
        p95=[quantiles(run.milliseconds, n=20, method="inclusive")[-1] for run in runs],
        differing=sum(found != right for run in runs for found, right in zip(run.lists, expected, strict=True)),
    )


def table(measured: Sequence[LayoutFigures]) -> Table:
    columns = ("", "indexes", "asked", "CPU ms", "p50, p95 ms, 1 client", "p50, p95 ms, 4 clients", "MiB", "loading s", "lists")  # fmt: skip  # noqa: E501
    rows = Table(*columns, title="Recommendations from several layouts of the index")
    for row in measured:
        times = [f"{p50:.1f}, {p95:.1f}" for p50, p95 in zip(row.p50, row.p95, strict=True)]
        cpu = ", ".join(f"{milliseconds:.1f}" for milliseconds in row.cpu_ms)
        lists = f"{row.differing:,} differ" if row.differing else "equal"
        loading = f"{row.load_seconds:,.0f} + {row.merge_seconds:,.0f}"
        rows.add_row(row.layout, f"{row.indexes}", f"{row.asked:.1f}", cpu, *times, f"{row.mib:,.0f}", loading, lists)
    return rows
