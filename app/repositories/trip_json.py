"""Departures with their templates, as JSON that Postgres writes by one statement that is the same for all ids."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, any_, bindparam, case, func, null, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased, joinedload

from app.backends.database import Database
from app.repositories.entity_json import JsonBytes, Sql, constant, is_plain, json_object, money, optional_object
from app.repositories.templates import WITH_RELATED
from app.repositories.valid_rows import SLICE, fetch_scalars, valid_items
from schemas.api import entities
from schemas.api.entities import to_json
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
    effective_price,
)

_COUNTRY = aliased(Country)
_THEME = aliased(Tag)


def _list(item: Sql, link: Any, table: Any, foreign: Sql, *order: Sql) -> Sql:
    """Return SQL of the JSON list of what a template is linked to."""
    items = func.coalesce(func.json_agg(aggregate_order_by(item, *order)), func.json_build_array())
    rows = select(items).select_from(link).join(table, table.id == foreign)
    return rows.where(link.trip_template_id == TripTemplate.id).correlate(TripTemplate).scalar_subquery()


_TEMPLATE = json_object(
    entities.Template,
    TripTemplate,
    company=json_object(entities.Company, Company),
    trip_type=optional_object(entities.TripType, TripType),
    primary_country=optional_object(entities.Country, Country),
    countries=_list(
        json_object(entities.Country, _COUNTRY),
        TripTemplateCountry,
        _COUNTRY,
        TripTemplateCountry.country_id,
        TripTemplateCountry.visit_order,
        _COUNTRY.id,
    ),
    tags=_list(json_object(entities.Tag, _THEME), TripTemplateTag, _THEME, TripTemplateTag.tag_id, _THEME.id),
)

_HAS_DAYS = func.isfinite(TripOccurrence.start_date) & func.isfinite(TripOccurrence.end_date)
_DAYS = TripOccurrence.end_date - TripOccurrence.start_date + constant(1)
_DEPARTURE = json_object(
    entities.Departure,
    TripOccurrence,
    effective_price=money(effective_price),
    effective_max_capacity=func.coalesce(TripOccurrence.max_capacity_override, TripTemplate.default_max_capacity),
    effective_image_url=func.coalesce(
        func.nullif(TripOccurrence.image_url_override, constant("")), TripTemplate.image_url
    ),
    duration_days=case((_HAS_DAYS, _DAYS), else_=null()),
    template=_TEMPLATE,
    guide=optional_object(entities.Guide, Guide),
)

_departures, _templates, _guides = TripOccurrence.__table__, TripTemplate.__table__, Guide.__table__
_companies, _types, _countries = Company.__table__, TripType.__table__, Country.__table__
# From tables: the ORM would prepare the statement for each request.
_DEPARTURES = (
    select(_departures.c.id, JsonBytes("departure", _DEPARTURE).label("json"))
    .select_from(
        _departures.join(_templates, _templates.c.id == _departures.c.trip_template_id)
        .outerjoin(_companies, _companies.c.id == _templates.c.company_id)
        .outerjoin(_types, _types.c.id == _templates.c.trip_type_id)
        .outerjoin(_countries, _countries.c.id == _templates.c.primary_country_id)
        .outerjoin(_guides, _guides.c.id == _departures.c.guide_id)
    )
    .where(_departures.c.id == any_(bindparam("ids", type_=ARRAY(BigInteger))))
)

_WITH_ALL = (
    joinedload(TripOccurrence.template).options(*WITH_RELATED),
    joinedload(TripOccurrence.guide),
)


async def fetch_departures(database: Database, ids: Sequence[int]) -> list[bytes]:
    """Return the JSON of the departures that exist and can be shown, in the order of the ids."""
    found = await find_departures(database, ids)
    return [found[row_id] for row_id in ids if row_id in found]


async def find_departures(database: Database, ids: Sequence[int]) -> dict[int, bytes]:
    """Return the JSON of these departures by id."""
    found: dict[int, bytes] = {}
    odd: list[int] = []
    for start in range(0, len(ids), SLICE):
        for row_id, json in await database.fetch(_DEPARTURES, ids=ids[start : start + SLICE]):
            if is_plain(json):
                found[row_id] = json
            else:
                odd.append(row_id)
    if odd:
        found |= await _load_departures(database, odd)
    return found


async def _load_departures(database: Database, ids: Sequence[int]) -> dict[int, bytes]:
    """Return what the models make of the departures, without those that cannot be shown."""
    chosen = select(TripOccurrence).where(TripOccurrence.id.in_(ids))
    async with database.read() as session:
        rows = await fetch_scalars(session, chosen, TripOccurrence.id, _WITH_ALL)
    return {item.id: to_json(item) for item in await valid_items(entities.Departure, rows)}
