from collections.abc import AsyncIterator

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.database import Database
from core.settings import Settings
from indexer.invalidation import publish
from tests.support.api.serving import serving
from tests.support.statements import Statements, counted


@pytest.fixture
async def api(database: AsyncEngine, redis: Redis, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Of an empty database, read through the tests' own connections."""
    # The first number after a lost counter outdates everything.
    await publish(redis, [])
    crowded = settings.model_copy(update={"max_requests_in_flight": 1000})
    async with serving(crowded, database=Database(database)) as client:
        yield client


@pytest.fixture
async def statements(database: AsyncEngine) -> AsyncIterator[Statements]:
    with counted(database) as statements:
        yield statements
