"""Checksums of an index and of Postgres: numbers and sums of most fields that searches filter by."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from elasticsearch import AsyncElasticsearch
from sqlalchemy import BigInteger, ColumnElement, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.postgres.sql import not_in_array
from indexer.index import dependents
from indexer.index.outbox import COPY_OF_THIS_VERSION
from schemas.document_fields import FIELDS, DocumentField, join_sources
from schemas.invalidation_message import DEPARTURE, EVERYTHING
from schemas.tables import OutboxCopy, OutboxRow, TripOccurrence

DAY_MILLISECONDS = 86_400_000
TERMS = 50_000
"""Ids in one filter; Elasticsearch takes at most 65,536."""

Sums = dict[str, int]
"""Checksums by field: the sum of numbers (dates in days), the count of keywords, and of booleans that are true."""

DOCUMENTS = "documents"
"""Name of the number of documents among the checksums."""


async def pending_departures(connection: AsyncConnection) -> set[int] | None:
    """Return the departures that have a change in the outbox; None if it may be any departure."""
    by_kind: dict[str, set[int | None]] = defaultdict(set)
    for kind, row_id in await connection.execute(select(OutboxRow.kind, OutboxRow.row_id).distinct()):
        by_kind[kind].add(row_id)
    by_kind[DEPARTURE].update(
        await connection.scalars(select(OutboxCopy.row_id).where(COPY_OF_THIS_VERSION).distinct())
    )
    trip_ids = {row_id for row_id in by_kind.pop(DEPARTURE, ()) if row_id is not None}
    if EVERYTHING in by_kind or not by_kind.keys() <= dependents.RELATED_KINDS:
        return None
    if by_kind:
        is_dependent = or_(*(dependents.depends_on(kind, ids) for kind, ids in by_kind.items()))
        trip_ids.update((await connection.scalars(select(TripOccurrence.id).where(is_dependent))).all())
    return trip_ids


async def database_checksums(connection: AsyncConnection, without: Collection[int]) -> Sums:
    """Compute the checksums of all departures but those of `without`, from Postgres."""
    columns = {name: _column_checksum(field).label(name) for name, field in FIELDS.items()}
    rows = join_sources(select(func.count().label(DOCUMENTS), *columns.values()).select_from(TripOccurrence))
    found = await connection.execute(rows.where(not_in_array(TripOccurrence.id, without)))
    return dict(found.mappings().one())


def _column_checksum(field: DocumentField) -> ColumnElement[int]:
    column = field.column
    match field.es_type:
        case "keyword" if field.many_to_one is not None:
            return _sum(select(func.count(column)).where(field.many_to_one).scalar_subquery())
        case "keyword":
            return func.count(column)
        case "boolean":
            return func.count().filter(column)
        case "date":
            return _sum(column - func.to_date("1970-01-01", "YYYY-MM-DD"))
        case _:
            return _sum(column)


def _sum(value: Any) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(value), 0), BigInteger)


async def index_checksums(es: AsyncElasticsearch, name: str, without: Collection[int]) -> Sums:
    """Compute the checksums of an index as of its last refresh."""
    ids = sorted(without)
    ignored = [{"terms": {"id": ids[start : start + TERMS]}} for start in range(0, len(ids), TERMS)]
    answer = await es.search(
        index=name,
        size=0,
        track_total_hits=True,
        query={"bool": {"must_not": ignored}},
        aggregations={key: _aggregation(key, field) for key, field in FIELDS.items()},
    )
    found = answer["aggregations"]
    return {
        DOCUMENTS: answer["hits"]["total"]["value"],
        **{key: _aggregated(found[key], field) for key, field in FIELDS.items()},
    }


def _aggregation(name: str, field: DocumentField) -> dict[str, Any]:
    match field.es_type:
        case "keyword":
            return {"value_count": {"field": name}}
        case "boolean":
            return {"filter": {"term": {name: True}}}
        case _:
            return {"sum": {"field": name}}


def _aggregated(aggregation: dict[str, Any], field: DocumentField) -> int:
    value: float = aggregation["doc_count" if field.es_type == "boolean" else "value"]
    return round(value / DAY_MILLISECONDS if field.es_type == "date" else value)


def diff(rows: Sums, documents: Sums) -> list[str]:
    return [
        f"{name} {documents[name]} in the index, {expected} in Postgres"
        for name, expected in rows.items()
        if documents[name] != expected
    ]
