"""Both sides of the catalogue, page by page and by departure id."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from elasticsearch import AsyncElasticsearch

from indexer.backends import Backends
from indexer.documents.builder import DocumentBatch, build_documents
from indexer.documents.rows import snapshot
from indexer.index.keyset import MIN_ID, database_ids, index_documents

PAGE = 500

Document = dict[str, Any]


@dataclass(frozen=True)
class PagePair:
    """All departures of a range of ids: as Postgres has them, and as searches see them."""

    reading: DocumentBatch
    indexed: dict[int, Document]


async def scan(stores: Backends, name: str) -> AsyncIterator[PagePair]:
    """Of about PAGE departures each, together all that are in Postgres or in the index."""
    after = MIN_ID
    while True:
        async with snapshot(stores.postgres) as connection:
            ids = await database_ids(connection, after=after, limit=PAGE)
            last = ids[-1] if len(ids) == PAGE else None
            indexed = await index_documents(stores.elasticsearch, name, after=after, last=last, limit=2 * PAGE)
            if len(indexed) == 2 * PAGE:
                # So many are left over in the index that they need pages of their own.
                last = max(indexed)
            reading = await build_documents(connection, [found for found in ids if last is None or found <= last])
        yield PagePair(reading, indexed)
        if last is None:
            return
        after = last


async def get_realtime(es: AsyncElasticsearch, name: str, ids: list[int]) -> dict[int, Document]:
    """Also what searches don't see yet."""
    answer = await es.mget(index=name, ids=[str(trip_id) for trip_id in ids])
    return {int(found["_id"]): found["_source"] for found in answer["docs"] if found["found"]}
