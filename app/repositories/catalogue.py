"""What searches are resolved against."""

from sqlalchemy import select

from app.database import ReadSession
from schemas.enums import PRIVATE_GROUPS, PRIVATE_GROUPS_ID
from schemas.tables import Country, TripType
from scoring.search import Catalogue


async def read_catalogue(session: ReadSession) -> Catalogue:
    private = await session.scalar(select(TripType.id).where(TripType.name == PRIVATE_GROUPS))
    countries = await session.execute(select(Country.id, Country.continent))
    return Catalogue(
        private_type_id=PRIVATE_GROUPS_ID if private is None else private,
        continents={country: str(continent) for country, continent in countries.tuples()},
    )
