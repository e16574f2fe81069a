"""Keyset pagination over departures by id, in Postgres and in an index."""

from typing import Any

from elasticsearch import AsyncElasticsearch
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tables import TripOccurrence

MIN_ID = -(2**31)
"""Below all ids: where a scan starts."""


async def database_ids(
    connection: AsyncConnection, *conditions: ColumnElement[bool], after: int, limit: int
) -> list[int]:
    """Return the next departure ids greater than `after` that meet the conditions."""
    ids = select(TripOccurrence.id).where(TripOccurrence.id > after, *conditions)
    return list(await connection.scalars(ids.order_by(TripOccurrence.id).limit(limit)))


async def index_ids(es: AsyncElasticsearch, name: str, *, after: int, limit: int) -> list[int]:
    """Return the next departure ids of the index as of its last refresh; none if there is no such index."""
    hits = await _hits(es, name, {"gt": after}, limit, source=False, ignore_unavailable=True)
    return [hit["sort"][0] for hit in hits]


async def index_documents(
    es: AsyncElasticsearch, name: str, *, after: int, last: int | None, limit: int
) -> dict[int, dict[str, Any]]:
    """Return the next documents of the index by id, up to id `last` if it is given, as of its last refresh."""
    bounds = {"gt": after} if last is None else {"gt": after, "lte": last}
    return {hit["sort"][0]: hit["_source"] for hit in await _hits(es, name, bounds, limit)}


async def _hits(es: AsyncElasticsearch, name: str, bounds: dict[str, int], limit: int, **options: Any) -> Any:
    response = await es.search(
        index=name,
        query={"range": {"id": bounds}},
        # Unmapped in an index of another document version that has no such field, and so nothing to scan.
        sort=[{"id": {"order": "asc", "unmapped_type": "long"}}],
        size=limit,
        track_total_hits=False,
        **options,
    )
    return response["hits"]["hits"]
