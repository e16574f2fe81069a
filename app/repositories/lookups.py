"""Lookup tables with which a search is resolved."""

from sqlalchemy import func, select

from app.backends.database import ReadSession
from schemas.enums import PRIVATE_GROUPS, PRIVATE_GROUPS_ID
from schemas.tables import Country, TripType
from scoring.context import SearchLookups

PRIVATE_TYPE_ID = func.coalesce(
    select(TripType.id).where(TripType.name == PRIVATE_GROUPS).scalar_subquery(), PRIVATE_GROUPS_ID
)


async def load_lookups(session: ReadSession) -> SearchLookups:
    countries = await session.execute(select(Country.id, Country.continent))
    return SearchLookups(
        private_type_id=await session.scalar(select(PRIVATE_TYPE_ID)) or PRIVATE_GROUPS_ID,
        continents={country: str(continent) for country, continent in countries},
    )
