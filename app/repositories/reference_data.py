"""Queries of reference data: countries, guides, trip types and tags."""

from collections.abc import Sequence

from sqlalchemy import select

from app.backends.database import ReadSession
from app.repositories.queries import equals_id
from app.repositories.valid_rows import fetch_scalars
from schemas.enums import ANTARCTICA, Continent
from schemas.tables import Country, Guide, Tag, TripType
from schemas.tables.open_enum import label_text


async def list_locations(session: ReadSession) -> Sequence[Country]:
    """Return all countries by their Hebrew name."""
    return await fetch_scalars(session, select(Country).order_by(Country.name_he, Country.id), Country.id)


async def list_countries(session: ReadSession, continent: Continent | None) -> Sequence[Country]:
    """Return countries by name, optionally of one continent, without Antarctica, which is chosen as a continent."""
    chosen = select(Country).where(Country.name != ANTARCTICA).order_by(Country.name, Country.id)
    if continent:
        chosen = chosen.where(label_text(Country.continent.expression) == continent.name)
    return await fetch_scalars(session, chosen, Country.id)


async def get_country(session: ReadSession, country_id: int) -> Country | None:
    found = select(Country).where(equals_id(Country.id, country_id))
    return next(iter(await fetch_scalars(session, found, Country.id)), None)


async def list_active_guides(session: ReadSession) -> Sequence[Guide]:
    return await fetch_scalars(session, select(Guide).where(Guide.is_active).order_by(Guide.name, Guide.id), Guide.id)


async def get_guide(session: ReadSession, guide_id: int) -> Guide | None:
    found = select(Guide).where(equals_id(Guide.id, guide_id))
    return next(iter(await fetch_scalars(session, found, Guide.id)), None)


async def list_trip_types(session: ReadSession) -> Sequence[TripType]:
    return await fetch_scalars(session, select(TripType).order_by(TripType.name, TripType.id), TripType.id)


async def list_tags(session: ReadSession) -> Sequence[Tag]:
    return await fetch_scalars(session, select(Tag).order_by(Tag.name, Tag.id), Tag.id)
