"""Reference data: countries, guides, types, tags and companies."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from app.backends.database import ReadSession
from app.repositories.queries import equals_id
from schemas.enums import ANTARCTICA, Continent
from schemas.tables import Company, Country, Guide, Tag, TripTemplate, TripType


async def all_countries(session: ReadSession) -> Sequence[Country]:
    return (await session.scalars(select(Country).order_by(Country.name_he, Country.id))).all()


async def countries(session: ReadSession, continent: Continent | None) -> Sequence[Country]:
    """Without Antarctica, which is chosen as a continent."""
    chosen = select(Country).where(Country.name != ANTARCTICA).order_by(Country.name, Country.id)
    if continent:
        chosen = chosen.where(Country.continent == continent)
    return (await session.scalars(chosen)).all()


async def country(session: ReadSession, number: int) -> Country | None:
    return await session.scalar(select(Country).where(equals_id(Country.id, number)))


async def active_guides(session: ReadSession) -> Sequence[Guide]:
    return (await session.scalars(select(Guide).where(Guide.is_active).order_by(Guide.name, Guide.id))).all()


async def guide(session: ReadSession, number: int) -> Guide | None:
    return await session.scalar(select(Guide).where(equals_id(Guide.id, number)))


async def trip_types(session: ReadSession) -> Sequence[TripType]:
    return (await session.scalars(select(TripType).order_by(TripType.name, TripType.id))).all()


async def tags(session: ReadSession) -> Sequence[Tag]:
    return (await session.scalars(select(Tag).order_by(Tag.name, Tag.id))).all()


async def active_companies(session: ReadSession) -> Sequence[Company]:
    return (await session.scalars(select(Company).where(Company.is_active).order_by(Company.name, Company.id))).all()


async def company(session: ReadSession, number: int) -> Mapping[str, Any] | None:
    """Its columns and `template_count`, of active templates."""
    templates = (
        select(func.count())
        .where(TripTemplate.company_id == Company.id, TripTemplate.is_active)
        .correlate(Company)
        .scalar_subquery()
    )
    chosen = select(*Company.__table__.c, templates.label("template_count")).where(equals_id(Company.id, number))
    row = (await session.execute(chosen)).mappings().one_or_none()
    return None if row is None else dict(row)


async def company_exists(session: ReadSession, number: int) -> bool:
    return await session.scalar(select(Company.id).where(equals_id(Company.id, number))) is not None
