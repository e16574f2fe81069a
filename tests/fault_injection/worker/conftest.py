"""A catalogue that is being written to, an index that follows it, and ways to the servers that can be broken."""

import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import randrange

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.settings import Settings
from indexer.backends import Backends
from schemas.tables import OutboxRow
from scripts import sample_data
from tests.conftest import TODAY
from tests.fault_injection.worker.worker_process import SOON
from tests.fault_injection.worker.writer_workload import Platform
from tests.indexer.conftest import index, no_index, stores
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.sync import assert_in_sync, waiting

__all__ = ["index", "no_index", "stores"]

DEPARTURES = 120
WAYS = {
    "elasticsearch": "elasticsearch_url",
    "postgres": "database_url",
    "redis": "redis_url",
}


@dataclass(frozen=True)
class Scene:
    settings: Settings
    """Past everything that can be broken."""
    stores: Backends
    index: str
    platform: Platform
    ways: Mapping[str, FaultProxy]
    """By the names of the servers."""

    @property
    def breakable(self) -> Settings:
        urls = {setting: self.ways[name].url for name, setting in WAYS.items()}
        return self.settings.model_copy(update=urls)

    async def in_sync(self) -> None:
        """The verifier that ends every scenario: soon nothing waits, and every field is as in Postgres."""
        await eventually(self._nothing_waits, SOON)
        # The verifier sees what searches see.
        await self.stores.elasticsearch.indices.refresh(index=self.stores.alias)
        await assert_in_sync(self.settings)

    async def attempts(self) -> int:
        """The most that were made on a change that waits."""
        async with self.stores.postgres.connect() as connection:
            return await connection.scalar(select(func.max(OutboxRow.attempts))) or 0

    async def _nothing_waits(self) -> bool:
        return await waiting(self.stores.postgres) == 0


@pytest.fixture
async def ways(settings: Settings) -> AsyncIterator[Mapping[str, FaultProxy]]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(FaultProxy(getattr(settings, setting) or settings.database_url))
            for name, setting in WAYS.items()
        }


@pytest.fixture
async def platform(settings: Settings, database: AsyncEngine) -> Platform:
    """Writes to a sample catalogue, which the outbox still has to tell of."""
    seed = int(os.environ.get("FAULT_SEED") or randrange(1_000_000))
    logging.getLogger(__name__).warning("the same changes again: FAULT_SEED=%d", seed)
    await sample_data.seed(settings.database_url, DEPARTURES, seed, today=TODAY)
    platform = Platform(database, seed)
    await platform.find_rows()
    return platform


@pytest.fixture
async def scene(
    settings: Settings, stores: Backends, index: str, platform: Platform, ways: Mapping[str, FaultProxy]
) -> Scene:
    return Scene(settings, stores, index, platform, ways)
