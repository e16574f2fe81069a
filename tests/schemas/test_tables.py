from datetime import date
from ipaddress import ip_interface
from uuid import uuid4

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from schemas.api.entities import Departure
from schemas.tables import Base, BrowsingSession, TripOccurrence, TripTemplate
from tests.support.factories import CatalogueFactory

WHOLE_TEMPLATE = (
    joinedload(TripTemplate.company),
    joinedload(TripTemplate.trip_type),
    joinedload(TripTemplate.primary_country),
    selectinload(TripTemplate.countries),
    selectinload(TripTemplate.tags),
)


async def test_departure_is_built_from_orm_row(database: AsyncEngine, catalogue: CatalogueFactory) -> None:
    tags = [await catalogue.tag() for _ in range(3)]
    countries = [await catalogue.country() for _ in range(3)]
    visits = [countries[2], countries[0], countries[1]]
    template_id = await catalogue.template(
        tags=[tags[1], tags[2], tags[0]], countries=visits, primary_country_id=countries[2]
    )
    occurrence_id = await catalogue.occurrence(
        trip_template_id=template_id, guide_id=await catalogue.guide(), start_date=date(2027, 3, 1)
    )
    query = (
        select(TripOccurrence)
        .where(TripOccurrence.id == occurrence_id)
        .options(joinedload(TripOccurrence.template).options(*WHOLE_TEMPLATE), joinedload(TripOccurrence.guide))
    )
    async with AsyncSession(database) as session:
        occurrence = Departure.model_validate(await session.scalar(query))
    assert occurrence.effective_price == "1000.00"
    assert [country.id for country in occurrence.template.countries] == visits
    assert [tag.id for tag in occurrence.template.tags] == sorted(tags)
    assert occurrence.template.trip_type is None
    assert occurrence.guide


async def test_unloaded_relationship_raises(database: AsyncEngine, catalogue: CatalogueFactory) -> None:
    occurrence_id = await catalogue.occurrence()
    async with AsyncSession(database) as session:
        occurrence = await session.get_one(TripOccurrence, occurrence_id)
        with pytest.raises(InvalidRequestError, match="raise"):
            _ = occurrence.template


def test_no_relationship_loads_lazily() -> None:
    relationships = [relation for mapper in Base.registry.mappers for relation in inspect(mapper).relationships]
    assert len(relationships) >= 7
    assert {relation.lazy for relation in relationships} == {"raise"}


async def test_ip_address_is_stored_with_prefix_length(database: AsyncEngine) -> None:
    address = ip_interface("203.0.113.0/24")
    async with AsyncSession(database) as session:
        session.add(BrowsingSession(session_id=uuid4(), anonymous_id=uuid4(), ip_address=address))
        await session.commit()
        assert await session.scalar(select(BrowsingSession.ip_address)) == address
