"""Lookup tables with which a search is resolved."""

from sqlalchemy import func, select

from app.backends.database import ReadSession
from schemas.enums import PRIVATE_GROUPS, PRIVATE_GROUPS_ID
from schemas.tables import Country, TripType
from scoring.context import SearchLookups

PRIVATE_TYPE_ID = func.coalesce(
    select(func.min(TripType.id)).where(TripType.name == PRIVATE_GROUPS).scalar_subquery(), PRIVATE_GROUPS_ID
)
"""The first of them: where the platform's names are not unique any more, there may be several."""


async def load_lookups(session: ReadSession) -> SearchLookups:
    countries = await session.execute(select(Country.id, Country.continent))
    return SearchLookups(
        private_type_id=await session.scalar(select(PRIVATE_TYPE_ID)) or PRIVATE_GROUPS_ID,
        # What cannot be read as an id or a continent is NULL.
        continents={country: str(continent) for country, continent in countries if None not in (country, continent)},
    )
