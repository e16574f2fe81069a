from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.settings import Settings
from indexer.rebuild.reindex import reindex
from schemas.tables import Country, Tag, TripType
from scripts import sample_data
from scripts.benchmark.workload import Ids, searches
from tests.conftest import TODAY, empty

SAMPLE = 600


@pytest.fixture(scope="session")
def settings(settings: Settings) -> Settings:
    """Without rate limits: tests ask more often than people."""
    return settings.model_copy(update={"rate_limit_enabled": False})


@pytest.fixture(scope="module")
async def create_database(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncEngine:
    """The database with a small sample catalogue, which is in the index too."""
    await empty(engine)
    await redis.flushdb()
    await sample_data.seed(settings.database_url, SAMPLE, today=TODAY)
    await reindex(settings, lambda progress: None)
    return engine


@pytest.fixture(scope="module")
async def wishes(filled: AsyncEngine) -> Sequence[dict[str, Any]]:
    """Bodies of searches, no two alike."""
    async with filled.connect() as connection:
        countries, types, themes = [
            list(await connection.scalars(select(table.id))) for table in (Country, TripType, Tag)
        ]
    return searches(Ids(countries, types, themes, TODAY.year), 500, seed=7)
