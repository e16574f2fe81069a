import pytest

from tests.support.factories import CatalogueFactory


@pytest.fixture
async def trips(catalogue: CatalogueFactory, no_index: None) -> list[int]:
    template = await catalogue.template(tags=[await catalogue.tag()], primary_country_id=await catalogue.country())
    return [await catalogue.occurrence(trip_template_id=template) for _ in range(25)]
