from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.settings import Settings
from indexer.rebuild.reindex import reindex
from tests.conftest import empty
from tests.support.api.serve_process import serve_process
from tests.support.factories import CatalogueFactory

BODY_SECONDS = 0.6


@pytest.fixture(scope="module")
async def trip(settings: Settings, engine: AsyncEngine, redis: Redis) -> int:
    """Id of the only departure, in the database and in the index."""
    await empty(engine)
    await redis.flushdb()
    trip = await CatalogueFactory(engine).occurrence()
    await reindex(settings, lambda progress: None)
    return trip


@pytest.fixture(scope="module")
async def server(settings: Settings, trip: int) -> AsyncIterator[str]:
    """Address of `smarttrip serve`, whose clients have to be quick."""
    async with serve_process(settings, BODY_SECONDS=str(BODY_SECONDS)) as serving:
        yield serving.url


@pytest.fixture
def unlimited(settings: Settings) -> Settings:
    """Without rate limits: tests ask more often than people."""
    return settings.model_copy(update={"rate_limit_enabled": False})
