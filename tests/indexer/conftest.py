"""An index that follows the tests' database, from empty to empty."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.reindex import reindex
from indexer.stores import Stores, open_stores
from schemas.settings import Settings
from tests.conftest import drop_indices
from tests.indexer.sync import unheard


@pytest.fixture
async def stores(settings: Settings, database: AsyncEngine) -> AsyncIterator[Stores]:
    """No index yet, and nothing in Postgres."""
    await drop_indices(settings)
    async with open_stores(settings) as stores:
        yield stores


@pytest.fixture
async def index(settings: Settings, stores: Stores) -> str:
    """Name of an index in use."""
    return (await reindex(settings, unheard)).name
