from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.reindex import reindex
from schemas.settings import Settings
from tests.app.serve_process import serve_process
from tests.conftest import empty

BODY_SECONDS = 0.6


@pytest.fixture(scope="module")
async def server(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncIterator[str]:
    """Address of `smarttrip serve`, whose clients have to be quick."""
    await empty(engine)
    await redis.flushdb()
    await reindex(settings, lambda progress: None)
    async with serve_process(settings, BODY_SECONDS=str(BODY_SECONDS)) as serving:
        yield serving.url
