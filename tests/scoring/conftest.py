from collections.abc import AsyncIterator

import pytest
from elasticsearch import AsyncElasticsearch

from schemas.document import INDEX_SETTINGS, MAPPING
from schemas.settings import Settings
from tests.scoring.oracle import World
from tests.scoring.worlds import world

SEEDS = range(10)


@pytest.fixture(scope="session")
async def worlds(es: AsyncElasticsearch, settings: Settings) -> AsyncIterator[list[tuple[World, str]]]:
    """Random catalogues, each with the name of the index that holds it."""
    indexed = [(world(seed), f"{settings.elasticsearch_alias}_scoring_{seed}") for seed in SEEDS]
    for catalogue, index in indexed:
        await es.indices.create(index=index, mappings=MAPPING, settings=INDEX_SETTINGS)
        lines = [line for trip in catalogue.documents for line in ({"index": {"_id": str(trip["id"])}}, trip)]
        assert not (await es.bulk(index=index, operations=lines, refresh=True))["errors"]
    yield indexed
    await es.indices.delete(index=[index for _, index in indexed])
