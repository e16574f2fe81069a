from collections.abc import AsyncIterator

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.invalidation_publisher import publish
from tests.support.api.serving import serving
from tests.support.api.shared_database import database_on
from tests.support.statements import Statements, recorded_statements


@pytest.fixture
async def api(database: AsyncEngine, redis: Redis, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service with an empty database, which it reads through the test's own connections."""
    # The first generation after the counter was lost invalidates everything.
    await publish(redis, [])
    crowded = settings.model_copy(update={"max_requests_in_flight": 1000})
    async with database_on(database) as shared, serving(crowded, database=shared) as client:
        yield client


@pytest.fixture
async def statements(database: AsyncEngine) -> AsyncIterator[Statements]:
    with recorded_statements(database) as statements:
        yield statements
