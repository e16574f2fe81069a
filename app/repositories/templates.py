"""Queries of trip templates."""

from collections.abc import Iterator

from sqlalchemy import BigInteger, ColumnElement, bindparam, or_, select
from sqlalchemy.orm import joinedload, selectinload

from app.backends.database import Database, ReadSession
from app.repositories.queries import equals_id, paginate
from app.repositories.valid_rows import fetch_scalars
from schemas.api.envelopes import PageRows
from schemas.api.queries import PageQuery, TemplatesQuery
from schemas.tables import Country, TripTemplate

WITH_RELATED = (
    joinedload(TripTemplate.company),
    joinedload(TripTemplate.trip_type),
    joinedload(TripTemplate.primary_country),
    selectinload(TripTemplate.countries),
    selectinload(TripTemplate.tags),
)

_BY_ID = select(TripTemplate.id).where(TripTemplate.id == bindparam("template_id", type_=BigInteger))


async def find_templates(session: ReadSession, query: TemplatesQuery) -> PageRows[TripTemplate]:
    return await _find_active(session, query, *_conditions(query))


async def find_company_templates(session: ReadSession, company_id: int, page: PageQuery) -> PageRows[TripTemplate]:
    return await _find_active(session, page, equals_id(TripTemplate.company_id, company_id))


async def get_template(session: ReadSession, template_id: int) -> TripTemplate | None:
    found = select(TripTemplate).where(equals_id(TripTemplate.id, template_id))
    return next(iter(await fetch_scalars(session, found, TripTemplate.id, WITH_RELATED)), None)


async def template_exists(database: Database, template_id: int) -> bool:
    return bool(await database.fetch(_BY_ID, template_id=template_id))


async def _find_active(
    session: ReadSession, page: PageQuery, *conditions: ColumnElement[bool]
) -> PageRows[TripTemplate]:
    chosen = select(TripTemplate).where(TripTemplate.is_active, *conditions)
    return await paginate(session, chosen, (TripTemplate.title, TripTemplate.id), page, WITH_RELATED)


def _conditions(query: TemplatesQuery) -> Iterator[ColumnElement[bool]]:
    if query.company_id is not None:
        yield equals_id(TripTemplate.company_id, query.company_id)
    if query.trip_type_id is not None:
        yield equals_id(TripTemplate.trip_type_id, query.trip_type_id)
    if query.difficulty is not None:
        yield equals_id(TripTemplate.difficulty_level, query.difficulty)
    if query.country_id is not None:
        visited = TripTemplate.countries.any(equals_id(Country.id, query.country_id))
        yield or_(visited, equals_id(TripTemplate.primary_country_id, query.country_id))
