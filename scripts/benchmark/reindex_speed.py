"""A full reindex against loading the same documents from a file, already serialised: same client, same settings."""

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
from sqlalchemy import delete

from core.gc_tuning import tune_gc
from core.settings import Settings
from indexer.backends import open_backends
from indexer.index import admin, bulk_writer, versions
from indexer.rebuild.loader import CHUNK, IN_FLIGHT
from indexer.rebuild.reindex import reindex
from schemas.tables import OutboxRow
from scripts.benchmark.datasets import catalogue
from scripts.benchmark.suite import BUSY, TODAY, Say
from scripts.dev_stack.context import running_stack


@dataclass(frozen=True)
class Loading:
    departures: int
    reindexed: list[float] = field(default_factory=list)
    """Seconds of each round."""
    loaded: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Of the speeds, by pairs of rounds that followed each other."""
        return median(file / whole for file, whole in zip(self.loaded, self.reindexed, strict=True))


@dataclass(frozen=True)
class Bodies:
    """Bulk requests, one after the other in a file."""

    path: Path
    sizes: Sequence[int]

    def read(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for size in self.sizes:
                yield file.read(size)


def measure(data: Path, departures: int, rounds: int, say: Say) -> Loading:
    """Raises CliError where another benchmark runs."""
    with running_stack(data, busy=BUSY) as services:
        say(f"{departures:,} departures: catalogue, index and file")
        settings = catalogue(departures, services, TODAY).settings
        path = data / "documents.ndjson"
        asyncio.run(forget_changes(settings))
        tune_gc()
        try:
            bodies = asyncio.run(_write(settings, path))
            return uvloop.run(_take_turns(settings, bodies, Loading(departures), rounds, say))
        finally:
            path.unlink(missing_ok=True)


async def forget_changes(settings: Settings) -> None:
    """Those that the sample data left: the index has them all, and no worker is there to find that out."""
    async with open_backends(settings) as stores, stores.postgres.begin() as connection:
        await connection.execute(delete(OutboxRow))


async def _write(settings: Settings, path: Path) -> Bodies:
    sizes: list[int] = []
    async with open_backends(settings) as stores:
        with path.open("wb") as file:
            version = await versions.next_version(stores.postgres)
            async for documents in _documents(stores.elasticsearch, stores.alias):
                bodies = bulk_writer.bodies(version, documents)
                sizes += [file.write(b"\n".join(lines for _, lines in body.operations) + b"\n") for body in bodies]
    return Bodies(path, sizes)


async def _documents(es: AsyncElasticsearch, alias: str) -> AsyncIterator[dict[int, bytes]]:
    """By id, in the chunks of a reindex."""
    after: list[int] = [-1]
    while True:
        answer = await es.search(
            index=alias, size=CHUNK, sort=[{"id": "asc"}], search_after=after, source_excludes=["version"]
        )
        hits = answer["hits"]["hits"]
        if not hits:
            return
        yield {int(hit["_id"]): orjson.dumps(hit["_source"]) for hit in hits}
        after = hits[-1]["sort"]


async def _take_turns(settings: Settings, bodies: Bodies, loading: Loading, rounds: int, say: Say) -> Loading:
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        loading.reindexed.append((await reindex(settings, lambda _progress: None)).seconds)
        loading.loaded.append(await _load(settings, bodies, loading.departures))
    return loading


async def _load(settings: Settings, bodies: Bodies, departures: int) -> float:
    """Answers the seconds until all can be found."""
    async with open_backends(settings) as stores:
        es = stores.elasticsearch
        name = admin.new_name(stores.alias)
        started = time.monotonic()
        await admin.create(es, name, {})
        waiting = bodies.read()
        await asyncio.gather(*(_send_all(es, name, waiting) for _ in range(IN_FLIGHT)))
        await admin.finish_loading(es, name)
        seconds = time.monotonic() - started
        assert (await es.count(index=name))["count"] == departures
        await admin.drop(es, [name])
    return seconds


async def _send_all(es: AsyncElasticsearch, name: str, waiting: Iterator[bytes]) -> None:
    for body in waiting:
        answer = await es.bulk(index=name, operations=cast(Any, [body]), filter_path="errors")
        assert not answer["errors"]


def table(loading: Loading) -> Table:
    drawn = Table("", "seconds", "departures/s", title=f"{loading.departures:,} departures into a new index")
    for name, seconds in (
        ("full reindex", median(loading.reindexed)),
        ("already serialised, from a file", median(loading.loaded)),
    ):
        drawn.add_row(name, f"{seconds:.1f}", f"{loading.departures / seconds:,.0f}")
    drawn.add_row("ratio of the speeds", "", f"{loading.ratio:.2f}")
    return drawn
