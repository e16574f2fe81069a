"""What many departures share, read and put into text once for all of them."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache
from sqlalchemy import any_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer.documents.rows import IDS, Row, read_entities, read_rows, shown
from schemas import enums, tables
from schemas.api import entities

TEMPLATES = shown(tables.TripTemplate, entities.TemplateFields)
COMPANIES = shown(tables.Company, entities.Company)
COUNTRIES = shown(tables.Country, entities.Country)
TYPES = shown(tables.TripType, entities.TripType)
GUIDES = shown(tables.Guide, entities.Guide)
TAGS = (
    select(tables.TripTemplateTag.trip_template_id, *tables.Tag.__table__.c)
    .join(tables.Tag, tables.Tag.id == tables.TripTemplateTag.tag_id)
    .where(tables.TripTemplateTag.trip_template_id == any_(IDS))
    .order_by(tables.Tag.id)
)

DEFAULTS = ("base_price", "default_max_capacity", "image_url")
"""Columns that a departure may override."""

MOST_KNOWN = 20_000
"""At about 3 kB. To read a template again for each of its departures takes longer than all the rest."""


@dataclass(frozen=True)
class Template:
    """What a template gives to each of its departures."""

    fields: dict[str, Any]
    """Of a TripDocument."""
    defaults: Row
    trip: bytes
    """JSON."""


@dataclass
class Known:
    """Read before, and good for what is written under a version that was taken before all of it was read."""

    templates: LRUCache[int, Template] = field(default_factory=lambda: LRUCache(MOST_KNOWN))
    guides: LRUCache[int | None, bytes] = field(default_factory=lambda: LRUCache(MOST_KNOWN))


async def read_guides(connection: AsyncConnection, ids: set[int | None], known: Known) -> dict[int | None, bytes]:
    """As JSON; null for None."""
    found = {None: b"null"} | {key: known.guides[key] for key in ids if key in known.guides}
    guides = await read_entities(connection, GUIDES, entities.Guide, ids - found.keys())
    read = {key: entities.to_json(guide) for key, guide in guides.items()}
    known.guides.update(read)
    return found | read


async def read_templates(connection: AsyncConnection, ids: set[int], known: Known) -> dict[int, Template]:
    found = {key: known.templates[key] for key in ids if key in known.templates}
    read = await _read_templates(connection, ids - found.keys())
    known.templates.update(read)
    return found | read


async def _read_templates(connection: AsyncConnection, ids: set[int]) -> dict[int, Template]:
    rows = await read_rows(connection, TEMPLATES, ids)
    companies = await read_entities(connection, COMPANIES, entities.Company, {row["company_id"] for row in rows})
    types = await read_entities(connection, TYPES, entities.TripType, {row["trip_type_id"] for row in rows})
    countries = await read_entities(
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
    for row in await read_rows(connection, TAGS, template_ids):
        tag = tags.get(row["id"]) or tags.setdefault(row["id"], entities.Tag.model_validate(row))
        of_template[row["trip_template_id"]].append(tag)
    return of_template


def _template(row: Row) -> Template:
    country: entities.Country | None = row["primary_country"]
    return Template(
        fields={
            "active": row["is_active"],
            "country": _keyword(row["primary_country_id"]),
            "continent": country.continent.value if country else None,
            "antarctica": country is not None and country.name == enums.ANTARCTICA,
            "type": _keyword(row["trip_type_id"]),
            "themes": [str(tag.id) for tag in row["tags"]],
            "level": row["difficulty_level"],
        },
        defaults={name: row[name] for name in DEFAULTS},
        trip=entities.to_json(entities.TripTemplate.model_validate(row)),
    )


def _keyword(number: int | None) -> str | None:
    return None if number is None else str(number)
