from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.rebuild.reindex import reindex
from tests.conftest import empty
from tests.support.api.serve_process import serve_process
from tests.support.factories import CatalogueFactory
from tests.support.sync import ignore_progress

BODY_SECONDS = 0.6


@pytest.fixture(scope="module")
async def trip(settings: Settings, engine: AsyncEngine, redis: Redis) -> int:
    """Id of the only departure, which is in the database and in the index."""
    await empty(engine)
    await redis.flushdb()
    trip = await CatalogueFactory(engine).occurrence()
    await reindex(settings, ignore_progress)
    return trip


@pytest.fixture(scope="module")
async def server(settings: Settings, trip: int) -> AsyncIterator[str]:
    """Address of `smarttrip serve` with a short timeout for bodies."""
    async with serve_process(settings, BODY_SECONDS=str(BODY_SECONDS)) as serving:
        yield serving.url


@pytest.fixture
def unlimited(settings: Settings) -> Settings:
    """Settings without rate limits."""
    return settings.model_copy(update={"rate_limit_enabled": False})
