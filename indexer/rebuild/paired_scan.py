"""Both sides of the catalogue, page by page and by departure id."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from elasticsearch import AsyncElasticsearch
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.backends import Backends
from indexer.documents.builder import DocumentBatch, build_documents
from indexer.documents.rows import snapshot
from indexer.index.dependents import MIN_ID
from schemas.tables import TripOccurrence

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
            ids = await _ids_after(connection, after)
            last = ids[-1] if len(ids) == PAGE else None
            indexed = await _indexed(stores.elasticsearch, name, after, last)
            if len(indexed) == 2 * PAGE:
                # So many are left over in the index that they need pages of their own.
                last = max(indexed)
            reading = await build_documents(connection, [found for found in ids if last is None or found <= last])
        yield PagePair(reading, indexed)
        if last is None:
            return
        after = last


async def _ids_after(connection: AsyncConnection, after: int) -> list[int]:
    ids = select(TripOccurrence.id).where(TripOccurrence.id > after).order_by(TripOccurrence.id).limit(PAGE)
    return list(await connection.scalars(ids))


async def _indexed(es: AsyncElasticsearch, name: str, after: int, last: int | None) -> dict[int, Document]:
    """At most 2 * PAGE, those with the lowest ids."""
    answer = await es.search(
        index=name,
        query={"range": {"id": {"gt": after} if last is None else {"gt": after, "lte": last}}},
        sort=[{"id": "asc"}],
        size=2 * PAGE,
        track_total_hits=False,
    )
    return {hit["sort"][0]: hit["_source"] for hit in answer["hits"]["hits"]}


async def get_realtime(es: AsyncElasticsearch, name: str, ids: list[int]) -> dict[int, Document]:
    """Also what searches don't see yet."""
    answer = await es.mget(index=name, ids=[str(trip_id) for trip_id in ids])
    return {int(found["_id"]): found["_source"] for found in answer["docs"] if found["found"]}
