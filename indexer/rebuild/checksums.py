"""Whether a new index holds what Postgres holds: counts and sums of most of what searches filter by."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from elasticsearch import AsyncElasticsearch
from sqlalchemy import BigInteger, ColumnElement, cast, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.sql import in_array
from indexer.feed import fan_out
from indexer.index.outbox import OCCURRENCE
from schemas.tables import OutboxRow, TripOccurrence, TripTemplate, TripTemplateTag, effective_price

DAY_MILLISECONDS = 86_400_000
TERMS = 50_000
"""Ids in one filter; Elasticsearch takes at most 65,536."""

Sums = dict[str, int]

SUMMED = ("id", "level", "month", "days", "price", "spots")
COUNTED = ("country", "type", "themes")


async def pending_departures(connection: AsyncConnection) -> set[int] | None:
    """Departures that the outbox still has to tell of; None if it may be any."""
    by_kind: dict[str, set[int | None]] = defaultdict(set)
    for kind, row_id in await connection.execute(select(OutboxRow.kind, OutboxRow.row_id).distinct()):
        by_kind[kind].add(row_id)
    trip_ids = {row_id for row_id in by_kind.pop(OCCURRENCE, ()) if row_id is not None}
    if fan_out.EVERYTHING in by_kind or not by_kind.keys() <= fan_out.ENTITY_KINDS:
        return None
    if by_kind:
        shown = or_(*(fan_out.depends_on(kind, ids) for kind, ids in by_kind.items()))
        trip_ids.update((await connection.scalars(select(TripOccurrence.id).where(shown))).all())
    return trip_ids


async def database_checksums(connection: AsyncConnection, without: Collection[int]) -> Sums:
    trip, template = TripOccurrence, TripTemplate
    tags = select(func.count()).where(TripTemplateTag.trip_template_id == template.id).scalar_subquery()
    columns: dict[str, ColumnElement[Any]] = {
        "documents": func.count(),
        "id": _sum(trip.id),
        "level": _sum(template.difficulty_level),
        "month": _sum(func.extract("month", trip.start_date)),
        "days": _sum(trip.end_date - trip.start_date + 1),
        "price": _sum(effective_price * 100),
        "spots": _sum(trip.spots_left),
        "start": _sum(trip.start_date - func.to_date("1970-01-01", "YYYY-MM-DD")),
        "active": func.count().filter(template.is_active),
        "country": func.count(template.primary_country_id),
        "type": func.count(template.trip_type_id),
        "themes": _sum(tags),
    }
    rows = select(*(column.label(name) for name, column in columns.items())).join(template)
    found = await connection.execute(rows.where(not_(in_array(trip.id, without))))
    return dict(found.mappings().one())


def _sum(value: Any) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(value), 0), BigInteger)


async def index_checksums(es: AsyncElasticsearch, name: str, without: Collection[int]) -> Sums:
    """As of the index's last refresh."""
    ids = sorted(without)
    ignored = [{"terms": {"id": ids[start : start + TERMS]}} for start in range(0, len(ids), TERMS)]
    answer = await es.search(
        index=name,
        size=0,
        track_total_hits=True,
        query={"bool": {"must_not": ignored}},
        aggregations={
            **{field: {"sum": {"field": field}} for field in (*SUMMED, "start")},
            **{field: {"value_count": {"field": field}} for field in COUNTED},
            "active": {"filter": {"term": {"active": True}}},
        },
    )
    found = answer["aggregations"]
    return {
        "documents": answer["hits"]["total"]["value"],
        **{field: round(found[field]["value"]) for field in (*SUMMED, *COUNTED)},
        "start": round(found["start"]["value"] / DAY_MILLISECONDS),
        "active": found["active"]["doc_count"],
    }


def diff(rows: Sums, documents: Sums) -> list[str]:
    return [
        f"{name} {documents[name]} in the index, {expected} in Postgres"
        for name, expected in rows.items()
        if documents[name] != expected
    ]
