"""From rows to index documents: a few statements for a chunk of departures, whatever its size."""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import ARRAY, Integer, Select, any_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import DeclarativeBase

from schemas import document, entities, enums, tables
from schemas.document import INDEX_SETTINGS, MAPPING, TripDocument

Row = dict[str, Any]
Shown = TypeVar("Shown", bound=entities.Entity)

UNREADABLE = (ValueError, TypeError, ArithmeticError, LookupError)
"""What a row raises that can't become a document; a server that fails raises something else."""


@dataclass
class Reading:
    """Departures that exist are in one of the two; those in neither are gone."""

    documents: dict[int, TripDocument] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    """Why a departure can't be shown, by its id."""


@dataclass(frozen=True)
class _Template:
    """What a template gives to each of its departures: filter fields, its row and its JSON text."""

    active: bool
    country: str | None
    continent: str | None
    antarctica: bool
    type: str | None
    themes: list[str]
    level: int
    row: Row
    json: bytes


def _select(table: type[DeclarativeBase], entity: type[entities.Entity]) -> Select[Any]:
    """The columns that the entity shows, of the rows whose ids are in `ids`."""
    columns = table.__table__.c
    shown = [columns[name] for name in entity.model_fields if name in columns]
    return select(*shown).where(columns["id"] == any_(IDS))


IDS: Any = bindparam("ids", type_=ARRAY(Integer))
OCCURRENCES = _select(tables.TripOccurrence, entities.OccurrenceFields)
TEMPLATES = _select(tables.TripTemplate, entities.TemplateFields)
COMPANIES = _select(tables.Company, entities.Company)
COUNTRIES = _select(tables.Country, entities.Country)
TYPES = _select(tables.TripType, entities.TripType)
GUIDES = _select(tables.Guide, entities.Guide)
TAGS = (
    select(tables.TripTemplateTag.trip_template_id, *tables.Tag.__table__.c)
    .join(tables.Tag, tables.Tag.id == tables.TripTemplateTag.tag_id)
    .where(tables.TripTemplateTag.trip_template_id == any_(IDS))
    .order_by(tables.Tag.id)
)


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction whose statements all see the same moment, that of the first of them."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            yield connection


async def read_documents(connection: AsyncConnection, ids: Iterable[int]) -> Reading:
    """Read in one `snapshot`. Bad rows cost only their own departures: a chunk that fails is read again in halves.

    The documents' `version` is 0 until they are written.
    """
    chunk = sorted(set(ids))
    try:
        return await _read_chunk(connection, chunk)
    except UNREADABLE as error:
        if len(chunk) == 1:
            return Reading(refused={chunk[0]: reason(error)})
    middle = len(chunk) // 2
    first, second = await read_documents(connection, chunk[:middle]), await read_documents(connection, chunk[middle:])
    return Reading(first.documents | second.documents, first.refused | second.refused)


def reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1000]


async def _read_chunk(connection: AsyncConnection, ids: list[int]) -> Reading:
    occurrences = await _rows(connection, OCCURRENCES, ids)
    templates = await _read_templates(connection, {row["trip_template_id"] for row in occurrences})
    guides = await _read_guides(connection, {row["guide_id"] for row in occurrences})
    reading = Reading()
    for row in occurrences:
        try:
            reading.documents[row["id"]] = _document(row, templates[row["trip_template_id"]], guides[row["guide_id"]])
        except UNREADABLE as error:
            reading.refused[row["id"]] = reason(error)
    return reading


async def _rows(connection: AsyncConnection, statement: Select[Any], ids: Iterable[int | None]) -> list[Row]:
    wanted = sorted(number for number in ids if number is not None)
    if not wanted:
        return []
    result = await connection.execute(statement, {"ids": wanted})
    keys = tuple(result.keys())
    return [dict(zip(keys, row, strict=True)) for row in result]


async def _by_id(
    connection: AsyncConnection, statement: Select[Any], entity: type[Shown], ids: Iterable[int | None]
) -> dict[int | None, Shown]:
    return {row["id"]: entity.model_validate(row) for row in await _rows(connection, statement, ids)}


async def _read_guides(connection: AsyncConnection, ids: set[int | None]) -> dict[int | None, bytes]:
    guides = await _by_id(connection, GUIDES, entities.Guide, ids)
    return {None: b"null"} | {key: entities.to_json(guide) for key, guide in guides.items()}


async def _read_templates(connection: AsyncConnection, ids: set[int]) -> dict[int, _Template]:
    rows = await _rows(connection, TEMPLATES, ids)
    companies = await _by_id(connection, COMPANIES, entities.Company, {row["company_id"] for row in rows})
    types = await _by_id(connection, TYPES, entities.TripType, {row["trip_type_id"] for row in rows})
    countries = await _by_id(connection, COUNTRIES, entities.Country, {row["primary_country_id"] for row in rows})
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
    for row in await _rows(connection, TAGS, template_ids):
        tag = tags.get(row["id"]) or tags.setdefault(row["id"], entities.Tag.model_validate(row))
        of_template[row["trip_template_id"]].append(tag)
    return of_template


def _template(row: Row) -> _Template:
    country: entities.Country | None = row["primary_country"]
    return _Template(
        active=row["is_active"],
        country=_keyword(row["primary_country_id"]),
        continent=country.continent.value if country else None,
        antarctica=country is not None and country.name == enums.ANTARCTICA,
        type=_keyword(row["trip_type_id"]),
        themes=[str(tag.id) for tag in row["tags"]],
        level=row["difficulty_level"],
        row=row,
        json=entities.to_json(entities.TripTemplate.model_validate(row)),
    )


def _document(row: Row, template: _Template, guide: bytes) -> TripDocument:
    occurrence = entities.OccurrenceFields.model_validate({**row, "template": template.row})
    if occurrence.start_date == date.min or occurrence.end_date == date.max:
        raise ValueError("a departure without a first or last day")
    trip = b'%b,"template":%b,"guide":%b}' % (entities.to_json(occurrence)[:-1], template.json, guide)
    return TripDocument(
        id=occurrence.id,
        active=template.active,
        country=template.country,
        continent=template.continent,
        antarctica=template.antarctica,
        type=template.type,
        themes=template.themes,
        level=template.level,
        start=occurrence.start_date.isoformat(),
        month=occurrence.start_date.month,
        days=occurrence.duration_days,
        price=int(occurrence.effective_price.replace(".", "")),
        spots=occurrence.spots_left,
        status=occurrence.status,
        version=0,
        trip=trip.decode(),
    )


def _keyword(number: int | None) -> str | None:
    return None if number is None else str(number)


def _hash() -> str:
    """Of all that decides what a document looks like: its shape and the code that makes it."""
    shape = orjson.dumps([MAPPING, INDEX_SETTINGS], option=orjson.OPT_SORT_KEYS)
    code = [Path(source).read_bytes() for source in (__file__, document.__file__, entities.__file__, enums.__file__)]
    return hashlib.sha256(b"\0".join([shape, *code])).hexdigest()[:16]


DOCUMENT_HASH = _hash()
"""Kept with each index: an index with another hash is not written to, it is built anew."""
