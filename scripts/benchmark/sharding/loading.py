"""Load the documents into the indexes of a layout, and wait until Elasticsearch has nothing left to do for them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from elasticsearch import AsyncElasticsearch

from core import clients
from indexer.index import admin
from scripts.benchmark.sharding.documents import BlockFile
from scripts.benchmark.sharding.layouts import Layout, Parts
from scripts.dev_stack.wait import wait_until

ALIAS = "bench-sharding"
LOADERS = 2
SECONDS = 300
"""Longest request."""
MERGE_SECONDS = 1800


@dataclass(frozen=True)
class LoadedLayout:
    layout: Layout
    parts: Parts
    names: dict[str, str]
    """Name of each index in Elasticsearch, by its name in the layout."""
    seconds: float
    """From the first request until searches found all documents."""
    merge_seconds: float
    """From then on until Elasticsearch had merged what it had to."""
    es: AsyncElasticsearch

    async def size(self) -> int:
        """Return the bytes of all indexes, as Elasticsearch has counted them within the last ten seconds."""
        total = (await self.es.indices.stats(index=[*self.names.values()], metric="store"))["_all"]["total"]
        return int(total["store"]["size_in_bytes"])


@asynccontextmanager
async def loaded(url: str, layout: Layout, files: Sequence[BlockFile]) -> AsyncIterator[LoadedLayout]:
    """Load the documents, and delete them at the end."""
    es = clients.elasticsearch(url, timeout=SECONDS)
    parts = frozenset(file.part for file in files)
    names = {name: admin.new_name(f"{ALIAS}-{name}") for name in layout.indexes(parts)}
    try:
        started = time.monotonic()
        await _load(es, layout, files, names)
        seconds = time.monotonic() - started
        await _wait_for_merges(es, [*names.values()])
        merge_seconds = time.monotonic() - started - seconds
        yield LoadedLayout(layout, parts, names, seconds, merge_seconds, es)
    finally:
        await _delete(es, [*names.values()])
        await es.close()


async def _load(es: AsyncElasticsearch, layout: Layout, files: Sequence[BlockFile], names: dict[str, str]) -> None:
    for name in names.values():
        await admin.create(es, name, {}, shards=layout.shards)
    remaining = ((names[layout.key(file.part)], body) for file in files for body in file.read())
    await asyncio.gather(*(_send(es, remaining) for _ in range(LOADERS)))
    for name in names.values():
        await admin.finish_loading(es, name)
    found = (await es.count(index=",".join(names.values())))["count"]
    assert found == sum(file.documents for file in files), found


async def _send(es: AsyncElasticsearch, remaining: Iterator[tuple[str, bytes]]) -> None:
    for name, body in remaining:
        response = await es.bulk(index=name, operations=cast(Any, [body]), filter_path="errors")
        assert not response["errors"], name


async def _wait_for_merges(es: AsyncElasticsearch, names: list[str]) -> None:
    async def are_merged() -> bool:
        return not (await es.indices.stats(index=names, metric="merge"))["_all"]["total"]["merges"]["current"]

    await wait_until(are_merged, MERGE_SECONDS, "the end of merges")


async def _delete(es: AsyncElasticsearch, names: Sequence[str]) -> None:
    for name in [*names, *map(admin.history_index, names)]:
        await es.indices.delete(index=name, ignore_unavailable=True)
