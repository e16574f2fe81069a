from collections.abc import AsyncIterator

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.reindex import reindex
from schemas.settings import Settings
from scripts import sample
from tests.app.serving import serving
from tests.conftest import TODAY

SAMPLE = 600
"""Departures of the sample catalogue."""


@pytest.fixture(scope="session")
def settings(settings: Settings) -> Settings:
    """Without rate limits: tests ask more often than people."""
    return settings.model_copy(update={"rate_limit_enabled": False})


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(settings) as client:
        yield client


@pytest.fixture
async def sample_index(settings: Settings, database: AsyncEngine) -> None:
    """A small sample catalogue, in the database and in the index."""
    await sample.seed(settings.database_url, SAMPLE, today=TODAY)
    await reindex(settings, lambda _progress: None)
