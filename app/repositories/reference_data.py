"""Queries of reference data: countries, guides, trip types and tags."""

from collections.abc import Sequence

from sqlalchemy import select

from app.backends.database import ReadSession
from app.repositories.queries import equals_id
from schemas.enums import ANTARCTICA, Continent
from schemas.tables import Country, Guide, Tag, TripType


async def list_locations(session: ReadSession) -> Sequence[Country]:
    """Return all countries by their Hebrew name."""
    return (await session.scalars(select(Country).order_by(Country.name_he, Country.id))).all()


async def list_countries(session: ReadSession, continent: Continent | None) -> Sequence[Country]:
    """Return countries by name, optionally of one continent, without Antarctica, which is chosen as a continent."""
    chosen = select(Country).where(Country.name != ANTARCTICA).order_by(Country.name, Country.id)
    if continent:
        chosen = chosen.where(Country.continent == continent)
    return (await session.scalars(chosen)).all()


async def get_country(session: ReadSession, country_id: int) -> Country | None:
    return await session.scalar(select(Country).where(equals_id(Country.id, country_id)))


async def list_active_guides(session: ReadSession) -> Sequence[Guide]:
    return (await session.scalars(select(Guide).where(Guide.is_active).order_by(Guide.name, Guide.id))).all()


async def get_guide(session: ReadSession, guide_id: int) -> Guide | None:
    return await session.scalar(select(Guide).where(equals_id(Guide.id, guide_id)))


async def list_trip_types(session: ReadSession) -> Sequence[TripType]:
    return (await session.scalars(select(TripType).order_by(TripType.name, TripType.id))).all()


async def list_tags(session: ReadSession) -> Sequence[Tag]:
    return (await session.scalars(select(Tag).order_by(Tag.name, Tag.id))).all()
