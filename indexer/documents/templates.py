"""The parts of documents that many departures share, templates and guides: read and serialized once for all."""

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
"""Columns of a template that a departure may override."""

MAX_CACHED = 20_000
"""Entries of about 3 kB. Reading a template for each of its departures would take longer than all the rest."""


@dataclass(frozen=True)
class TemplateDocument:
    """The part of a document that all departures of a template share."""

    fields: dict[str, Any]
    """Fields of a TripDocument."""
    defaults: Row
    """Values of the columns that a departure may override."""
    trip: bytes
    """JSON of the template, as a departure contains it."""


@dataclass
class DocumentCache:
    """Cache of serialized templates and guides.

    Safe only for documents written with a version that was taken before any of the cached rows was read.
    """

    templates: LRUCache[int, TemplateDocument] = field(default_factory=lambda: LRUCache(MAX_CACHED))
    guides: LRUCache[int | None, bytes] = field(default_factory=lambda: LRUCache(MAX_CACHED))


async def read_guides(
    connection: AsyncConnection, ids: set[int | None], cache: DocumentCache
) -> dict[int | None, bytes]:
    """Return guides as JSON by id; None is null."""
    cached = {None: b"null"} | {key: cache.guides[key] for key in ids if key in cache.guides}
    guides = await fetch_entities(connection, GUIDES, entities.Guide, ids - cached.keys())
    read = {key: entities.to_json(guide) for key, guide in guides.items()}
    cache.guides.update(read)
    return cached | read


async def read_templates(
    connection: AsyncConnection, ids: set[int], cache: DocumentCache
) -> dict[int, TemplateDocument]:
    cached = {key: cache.templates[key] for key in ids if key in cache.templates}
    read = await _read_templates(connection, ids - cached.keys())
    cache.templates.update(read)
    return cached | read


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
    return {row["id"]: make_template(row) for row in rows}


async def _read_tags(connection: AsyncConnection, template_ids: set[int]) -> dict[int, list[entities.Tag]]:
    tags: dict[int, entities.Tag] = {}
    by_template: dict[int, list[entities.Tag]] = defaultdict(list)
    for row in await fetch_rows(connection, TAGS, template_ids):
        tag = tags.get(row["id"]) or tags.setdefault(row["id"], entities.Tag.model_validate(row))
        by_template[row["trip_template_id"]].append(tag)
    return by_template


def make_template(row: Row) -> TemplateDocument:
    """Return the part of a document; the row has the company, country, type and tags, too."""
    template = entities.RecommendedTemplate.model_validate(row)
    return TemplateDocument(
        fields=template_values(template),
        defaults={name: row[name] for name in OVERRIDABLE},
        trip=entities.to_json(template),
    )
