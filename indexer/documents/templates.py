"""What many departures share, read and put into text once for all of them."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache
from sqlalchemy import any_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.documents.rows import IDS, Row, fetch_entities, fetch_rows, select_entity
from schemas import tables
from schemas.api import entities
from schemas.document_fields import template_values

TEMPLATES = select_entity(tables.TripTemplate, entities.TemplateFields)
COMPANIES = select_entity(tables.Company, entities.Company)
COUNTRIES = select_entity(tables.Country, entities.Country)
TYPES = select_entity(tables.TripType, entities.TripType)
GUIDES = select_entity(tables.Guide, entities.Guide)
TAGS = (
    select(tables.TripTemplateTag.trip_template_id, *tables.Tag.__table__.c)
    .join(tables.Tag, tables.Tag.id == tables.TripTemplateTag.tag_id)
    .where(tables.TripTemplateTag.trip_template_id == any_(IDS))
    .order_by(tables.Tag.id)
)

OVERRIDABLE = ("base_price", "default_max_capacity", "image_url")
"""Columns that a departure may override."""

MAX_CACHED = 20_000
"""At about 3 kB. To read a template again for each of its departures takes longer than all the rest."""


@dataclass(frozen=True)
class TemplateDocument:
    """What a template gives to each of its departures."""

    fields: dict[str, Any]
    """Of a TripDocument."""
    defaults: Row
    trip: bytes
    """JSON."""


@dataclass
class DocumentCache:
    """Read before, and good for what is written under a version that was taken before all of it was read."""

    templates: LRUCache[int, TemplateDocument] = field(default_factory=lambda: LRUCache(MAX_CACHED))
    guides: LRUCache[int | None, bytes] = field(default_factory=lambda: LRUCache(MAX_CACHED))


async def read_guides(
    connection: AsyncConnection, ids: set[int | None], known: DocumentCache
) -> dict[int | None, bytes]:
    """As JSON; null for None."""
    found = {None: b"null"} | {key: known.guides[key] for key in ids if key in known.guides}
    guides = await fetch_entities(connection, GUIDES, entities.Guide, ids - found.keys())
    read = {key: entities.to_json(guide) for key, guide in guides.items()}
    known.guides.update(read)
    return found | read


async def read_templates(
    connection: AsyncConnection, ids: set[int], known: DocumentCache
) -> dict[int, TemplateDocument]:
    found = {key: known.templates[key] for key in ids if key in known.templates}
    read = await _read_templates(connection, ids - found.keys())
    known.templates.update(read)
    return found | read


async def _read_templates(connection: AsyncConnection, ids: set[int]) -> dict[int, TemplateDocument]:
    rows = await fetch_rows(connection, TEMPLATES, ids)
    companies = await fetch_entities(connection, COMPANIES, entities.Company, {row["company_id"] for row in rows})
    types = await fetch_entities(connection, TYPES, entities.TripType, {row["trip_type_id"] for row in rows})
    countries = await fetch_entities(
        connection, COUNTRIES, entities.Country, {row["primary_country_id"] for row in rows}
    )
    tags = await _read_tags(connection, ids)
    for row in rows:
        row["company"] = companies[row["company_id"]]
        row["trip_type"] = types.get(row["trip_type_id"])
        row["primary_country"] = countries.get(row["primary_country_id"])
        row["tags"] = tags[row["id"]]
    return {row["id"]: _template(row) for row in rows}


async def _read_tags(connection: AsyncConnection, template_ids: set[int]) -> dict[int, list[entities.Tag]]:
    tags: dict[int, entities.Tag] = {}
    of_template: dict[int, list[entities.Tag]] = defaultdict(list)
    for row in await fetch_rows(connection, TAGS, template_ids):
        tag = tags.get(row["id"]) or tags.setdefault(row["id"], entities.Tag.model_validate(row))
        of_template[row["trip_template_id"]].append(tag)
    return of_template


def _template(row: Row) -> TemplateDocument:
    template = entities.RecommendedTemplate.model_validate(row)
    return TemplateDocument(
        fields=template_values(template),
        defaults={name: row[name] for name in OVERRIDABLE},
        trip=entities.to_json(template),
    )
