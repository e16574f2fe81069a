from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from schemas.tables import Country, Tag, TripType
from scripts import sample_data
from scripts.benchmark.load.workload import Ids, searches
from tests.conftest import TODAY, empty
from tests.support.sync import ignore_progress

DEPARTURES = 600

SearchBodies = Sequence[dict[str, Any]]


@pytest.fixture(scope="session")
def settings(settings: Settings) -> Settings:
    """Settings without rate limits, because tests send more requests than people."""
    return settings.model_copy(update={"rate_limit_enabled": False})


@pytest.fixture(scope="module")
async def sample_catalogue(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncEngine:
    """The database with a small sample catalogue, which is indexed too."""
    await empty(engine)
    await redis.flushdb()
    await sample_data.seed(settings.database_url, DEPARTURES, today=TODAY)
    await reindex(settings, ignore_progress)
    return engine


@pytest.fixture(scope="module")
async def search_bodies(sample_catalogue: AsyncEngine) -> SearchBodies:
    """Bodies of searches, no two alike."""
    async with sample_catalogue.connect() as connection:
        countries, types, themes = [
            list(await connection.scalars(select(table.id))) for table in (Country, TripType, Tag)
        ]
    return searches(Ids(countries, types, themes, TODAY.year), 500, seed=7)
