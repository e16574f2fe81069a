"""Compare a full reindex with loading the same documents, already serialised, from a file.

Both use the same client and the same index settings.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, cast

import orjson
import uvloop
from elasticsearch import AsyncElasticsearch
from rich.table import Table

from core.configuration.settings import Settings
from core.gc_tuning import tune_gc
from indexer.backends import open_backends
from indexer.index import admin, bulk_writer, versions
from indexer.rebuild.loader import CHUNK, IN_FLIGHT
from indexer.rebuild.reindex import reindex
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.datasets import catalogue, clear_outbox
from scripts.dev_stack.context import running_stack


@dataclass(frozen=True)
class SpeedComparison:
    departures: int
    reindexed: list[float] = field(default_factory=list)
    """Seconds of each round of a full reindex."""
    loaded: list[float] = field(default_factory=list)
    """Seconds of each round of loading the file."""

    @property
    def ratio(self) -> float:
        """Median ratio of the speeds, over pairs of consecutive rounds."""
        return median(file / whole for file, whole in zip(self.loaded, self.reindexed, strict=True))


@dataclass(frozen=True)
class BulkFile:
    """Bulk request bodies, one after the other in a file."""

    path: Path
    sizes: Sequence[int]

    def read(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for size in self.sizes:
                yield file.read(size)


def measure(data: Path, departures: int, rounds: int, report: Report) -> SpeedComparison:
    """Measure the speed of reindexes. Raises: CliError, if another benchmark runs."""
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue, index and file")
        settings = catalogue(departures, services, TODAY).settings
        path = data / "documents.ndjson"
        asyncio.run(clear_outbox(settings))
        tune_gc()
        try:
            bodies = asyncio.run(_write(settings, path))
            return uvloop.run(_run_rounds(settings, bodies, SpeedComparison(departures), rounds, report))
        finally:
            path.unlink(missing_ok=True)


async def _write(settings: Settings, path: Path) -> BulkFile:
    sizes: list[int] = []
    async with open_backends(settings) as backends:
        with path.open("wb") as file:
            version = await versions.next_version(backends.postgres)
            async for documents in _documents(backends.elasticsearch, backends.alias):
                bodies = bulk_writer.bodies(version, documents)
                sizes += [file.write(b"\n".join(lines for _, lines in body.operations) + b"\n") for body in bodies]
    return BulkFile(path, sizes)


async def _documents(es: AsyncElasticsearch, alias: str) -> AsyncIterator[dict[int, bytes]]:
    """Yield the indexed documents by id, in the chunks of a reindex."""
    after: list[int] = [-1]
    while True:
        response = await es.search(
            index=alias, size=CHUNK, sort=[{"id": "asc"}], search_after=after, source_excludes=["version"]
        )
        hits = response["hits"]["hits"]
        if not hits:
            return
        yield {int(hit["_id"]): orjson.dumps(hit["_source"]) for hit in hits}
        after = hits[-1]["sort"]


async def _run_rounds(
    settings: Settings, bodies: BulkFile, comparison: SpeedComparison, rounds: int, report: Report
) -> SpeedComparison:
    for number in range(rounds):
        report(f"round {number + 1} of {rounds}")
        comparison.reindexed.append((await reindex(settings, lambda _progress: None)).seconds)
        comparison.loaded.append(await _load(settings, bodies, comparison.departures))
    return comparison


async def _load(settings: Settings, bodies: BulkFile, departures: int) -> float:
    """Load the file into a new index; return the seconds until searches find all documents."""
    async with open_backends(settings) as backends:
        es = backends.elasticsearch
        name = admin.new_name(backends.alias)
        started = time.monotonic()
        await admin.create(es, name, {})
        remaining = bodies.read()
        await asyncio.gather(*(_send_all(es, name, remaining) for _ in range(IN_FLIGHT)))
        await admin.finish_loading(es, name)
        seconds = time.monotonic() - started
        assert (await es.count(index=name))["count"] == departures
        await admin.drop(es, [name])
    return seconds


async def _send_all(es: AsyncElasticsearch, name: str, remaining: Iterator[bytes]) -> None:
    for body in remaining:
        response = await es.bulk(index=name, operations=cast(Any, [body]), filter_path="errors")
        assert not response["errors"]


def table(comparison: SpeedComparison) -> Table:
    rows = Table("", "seconds", "departures/s", title=f"{comparison.departures:,} departures into a new index")
    for name, seconds in (
        ("full reindex", median(comparison.reindexed)),
        ("already serialised, from a file", median(comparison.loaded)),
    ):
        rows.add_row(name, f"{seconds:.1f}", f"{comparison.departures / seconds:,.0f}")
    rows.add_row("ratio of the speeds", "", f"{comparison.ratio:.2f}")
    return rows
