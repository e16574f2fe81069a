from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import orjson
import pytest
from elasticsearch import AsyncElasticsearch
from msgspec.json import encode

from core.configuration.settings import Settings
from schemas.document_fields import MAPPING
from schemas.index_document import INDEX_SETTINGS
from tests.scoring.reference import World
from tests.scoring.strategies import world

SEEDS = range(10)


@pytest.fixture(scope="session")
async def worlds(es: AsyncElasticsearch, settings: Settings) -> AsyncIterator[list[tuple[World, str]]]:
    """Random catalogues, each with the name of the index that holds it."""
    async with indexed(es, settings, "scoring", SEEDS) as catalogues:
        yield catalogues


@asynccontextmanager
async def indexed(
    es: AsyncElasticsearch, settings: Settings, prefix: str, seeds: Iterable[int]
) -> AsyncIterator[list[tuple[World, str]]]:
    """Index random catalogues for the length of a block."""
    # Not named like the alias: tests that put away its indices would take these too.
    catalogues = [(world(seed), f"{prefix}_{seed}_{settings.elasticsearch_alias}") for seed in seeds]
    names = [index for _, index in catalogues]
    await es.indices.delete(index=names, ignore_unavailable=True)
    for catalogue, index in catalogues:
        await es.indices.create(index=index, mappings=MAPPING, settings=INDEX_SETTINGS)
        lines = [
            line
            for trip in catalogue.documents
            for line in ({"index": {"_id": str(trip.id)}}, orjson.loads(encode(trip)))
        ]
        assert not (await es.bulk(index=index, operations=lines, refresh=True))["errors"]
    yield catalogues
    await es.indices.delete(index=names)
