"""Scan departures in Postgres and in an index side by side, by id."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from elasticsearch import AsyncElasticsearch

from indexer.backends import Backends
from indexer.documents.builder import DocumentBatch, build_documents
from indexer.documents.rows import snapshot
from indexer.index.keyset import MIN_ID, database_ids, index_documents

PAGE = 500
"""Departures that are read at a time."""

Document = dict[str, Any]


@dataclass(frozen=True)
class PagePair:
    """All departures of a range of ids."""

    built: DocumentBatch
    """As Postgres has them."""
    indexed: dict[int, Document]
    """As searches see them."""


async def scan(backends: Backends, name: str, page_size: int = PAGE) -> AsyncIterator[PagePair]:
    """Yield pages of about `page_size` departures, until all that are in Postgres or in the index are covered."""
    after = MIN_ID
    while True:
        async with snapshot(backends.postgres) as connection:
            ids = await database_ids(connection, after=after, limit=page_size)
            last = ids[-1] if len(ids) == page_size else None
            indexed = await index_documents(backends.elasticsearch, name, after=after, last=last, limit=2 * page_size)
            if len(indexed) == 2 * page_size:
                # The index has so many orphaned documents in this range that they need pages of their own.
                last = max(indexed)
            built = await build_documents(connection, [found for found in ids if last is None or found <= last])
        yield PagePair(built, indexed)
        if last is None:
            return
        after = last


async def get_realtime(es: AsyncElasticsearch, name: str, ids: list[int]) -> dict[int, Document]:
    """Return documents by id, including writes that searches cannot see yet."""
    response = await es.mget(index=name, ids=[str(trip_id) for trip_id in ids])
    return {int(found["_id"]): found["_source"] for found in response["docs"] if found["found"]}
