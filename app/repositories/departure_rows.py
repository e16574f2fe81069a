"""Departures with all that responses show of them, read by one statement that is the same for all ids."""

from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ARRAY, BigInteger, FromClause, Row, any_, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased

from app.backends.database import ReadSession
from app.repositories.valid_rows import fetch_by_ids
from schemas.api import entities
from schemas.row_errors import ROW_ERRORS
from schemas.tables import (
    Company,
    Country,
    Guide,
    Tag,
    TripOccurrence,
    TripTemplate,
    TripTemplateCountry,
    TripTemplateTag,
    TripType,
)

Shared = dict[tuple[type[BaseModel], object], object]
"""Entities that several departures of a response show, by model and id."""

_COUNTRY = aliased(Country)
_THEME = aliased(Tag)


def _columns(table: Any, entity: type[BaseModel]) -> list[Any]:
    """Return the columns that the entity shows, the id first."""
    return [getattr(table, name) for name in entity.model_fields if name in table.__mapper__.columns]


def _lists(columns: Sequence[Any], link: Any, table: Any, foreign: Any, order: Sequence[Any]) -> FromClause:
    """Return the linked rows of a template as one row: a list for each column."""
    values = [func.array_agg(aggregate_order_by(column, *order)).label(column.key) for column in columns]
    rows = select(*values).select_from(link).join(table, table.id == foreign)
    return rows.where(link.trip_template_id == TripTemplate.id).lateral()


_COUNTRIES = _lists(
    _columns(_COUNTRY, entities.Country),
    TripTemplateCountry,
    _COUNTRY,
    TripTemplateCountry.country_id,
    (TripTemplateCountry.visit_order, _COUNTRY.id),
)
_TAGS = _lists(_columns(_THEME, entities.Tag), TripTemplateTag, _THEME, TripTemplateTag.tag_id, (_THEME.id,))

_PARTS: tuple[tuple[type[BaseModel], list[Any]], ...] = (
    (entities.OccurrenceFields, _columns(TripOccurrence, entities.OccurrenceFields)),
    (entities.TemplateFields, _columns(TripTemplate, entities.TemplateFields)),
    (entities.Company, _columns(Company, entities.Company)),
    (entities.TripType, _columns(TripType, entities.TripType)),
    (entities.Country, _columns(Country, entities.Country)),
    (entities.Guide, _columns(Guide, entities.Guide)),
    (entities.Country, list(_COUNTRIES.c)),
    (entities.Tag, list(_TAGS.c)),
)
"""What a row consists of, in this order: models, and their columns."""

_IDS: Any = bindparam("ids", type_=ARRAY(BigInteger))
_DEPARTURES = (
    select(*(column.label(f"{part}_{column.key}") for part, (_, columns) in enumerate(_PARTS) for column in columns))
    .select_from(TripOccurrence)
    .join(TripOccurrence.template)
    .outerjoin(TripTemplate.company)
    .outerjoin(TripTemplate.trip_type)
    .outerjoin(TripTemplate.primary_country)
    .outerjoin(TripOccurrence.guide)
    .join(_COUNTRIES, true())
    .join(_TAGS, true())
    .where(TripOccurrence.id == any_(_IDS))
)


async def fetch_departures(session: ReadSession, ids: Sequence[int]) -> Sequence[SimpleNamespace]:
    """Return the departures that exist, in the order of the ids, as objects from which `Departure` is built."""
    shared: Shared = {}

    async def load(part: Sequence[int]) -> Sequence[SimpleNamespace]:
        rows = await session.execute(_DEPARTURES, {"ids": part})
        return [_departure(row, shared) for row in rows]

    found = {row.id: row for row in await fetch_by_ids(session, ids, load, TripOccurrence.__name__)}
    return [found[number] for number in ids if number in found]


def _departure(row: Row[Any], shared: Shared) -> SimpleNamespace:
    departure, template, company, trip_type, country, guide, countries, tags = _split(row)
    shown = SimpleNamespace(**_named(entities.OccurrenceFields, departure))
    key = (entities.Template, template[0])
    if key not in shared:
        parts = {
            **_named(entities.TemplateFields, template),
            "company": _entity(entities.Company, company, shared),
            "trip_type": _entity(entities.TripType, trip_type, shared),
            "primary_country": _entity(entities.Country, country, shared),
            "countries": [_entity(entities.Country, values, shared) for values in _rows(countries)],
            "tags": [_entity(entities.Tag, values, shared) for values in _rows(tags)],
        }
        shared[key] = _validated(entities.Template, parts)
    shown.template = shared[key]
    shown.guide = _entity(entities.Guide, guide, shared)
    return shown


def _split(row: Row[Any]) -> Iterator[Sequence[Any]]:
    start = 0
    for _, columns in _PARTS:
        yield row[start : start + len(columns)]
        start += len(columns)


_NAMES = {model: [column.key for column in columns] for model, columns in _PARTS}


def _named(model: type[BaseModel], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_NAMES[model], values, strict=True))


def _rows(lists: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Return the rows of lists, which are NULL where there are none."""
    return () if lists[0] is None else zip(*lists, strict=True)


def _entity(model: type[BaseModel], values: Sequence[Any], shared: Shared) -> object:
    """Return the entity, validated once for all departures that show it; None if an outer join found no row."""
    if values[0] is None:
        return None
    key = (model, values[0])
    if key not in shared:
        shared[key] = _validated(model, _named(model, values))
    return shared[key]


def _validated(model: type[BaseModel], values: dict[str, Any]) -> object:
    """Return the model, or unchanged values that it rejects: a departure that shows them is rejected, too."""
    try:
        return model.model_validate(values)
    except ROW_ERRORS:
        return values
