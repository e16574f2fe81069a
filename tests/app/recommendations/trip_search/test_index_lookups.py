from sqlalchemy.ext.asyncio import AsyncEngine

from app.recommendations.trip_search.elasticsearch import ElasticsearchTripSearch
from app.repositories.lookups import load_lookups
from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from schemas.enums import PRIVATE_GROUPS, PRIVATE_GROUPS_ID, Continent
from tests.support.api.shared_database import database_on
from tests.support.factories import CatalogueFactory


async def test_index_lookups_equal_database_lookups(
    index: ElasticsearchTripSearch, settings: Settings, catalogue: CatalogueFactory, database: AsyncEngine
) -> None:
    for continent in (Continent.ASIA, Continent.EUROPE, Continent.NORTH_AND_CENTRAL_AMERICA):
        private = await catalogue.trip_type(name=PRIVATE_GROUPS if continent is Continent.EUROPE else continent.name)
        country = await catalogue.country(continent=continent)
        template = await catalogue.template(trip_type_id=private, primary_country_id=country)
        await catalogue.occurrence(trip_template_id=template)
    await catalogue.occurrence(trip_template_id=await catalogue.template(trip_type_id=None, primary_country_id=None))
    await reindex(settings, lambda progress: None)
    async with database_on(database) as shared, shared.read() as session:
        expected = await load_lookups(session)
    assert expected.private_type_id != PRIVATE_GROUPS_ID
    assert await index.lookups() == expected


async def test_private_type_id_has_default(
    index: ElasticsearchTripSearch, settings: Settings, catalogue: CatalogueFactory
) -> None:
    await catalogue.occurrence(trip_template_id=await catalogue.template())
    await reindex(settings, lambda progress: None)
    found = await index.lookups()
    assert found.private_type_id == PRIVATE_GROUPS_ID
