"""A catalogue that is written to, an index that follows it, and fault proxies in front of the servers."""

import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import randrange

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from indexer.backends import Backends
from schemas.tables import OutboxRow
from scripts import sample_data
from tests.conftest import TODAY
from tests.fault_injection.worker.worker_process import SOON
from tests.fault_injection.worker.writer_workload import WriterWorkload
from tests.indexer.conftest import backends, index, no_index
from tests.support.dependency_proxies import DependencyProxies, dependency_proxies
from tests.support.eventually import eventually
from tests.support.sync import assert_in_sync, waiting

__all__ = ["backends", "index", "no_index"]

DEPARTURES = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore a warning of arq in all tests of this folder: stopping a worker task closes its connections."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning"))


@dataclass(frozen=True)
class SyncFixture:
    settings: Settings
    """Settings that bypass the proxies."""
    backends: Backends
    index: str
    """Name of the index that was live when the test began."""
    workload: WriterWorkload
    dependencies: DependencyProxies

    async def wait_until_in_sync(self) -> None:
        await wait_until_in_sync(self.settings, self.backends)

    async def attempts(self) -> int:
        """Return the highest number of attempts of any outbox row."""
        async with self.backends.postgres.connect() as connection:
            return await connection.scalar(select(func.max(OutboxRow.attempts))) or 0


async def wait_until_in_sync(settings: Settings, backends: Backends) -> None:
    """Wait until the outbox is empty, and assert that every field of every document is as in Postgres."""

    async def is_outbox_empty() -> bool:
        return await waiting(backends.postgres) == 0

    await eventually(is_outbox_empty, SOON)
    # Verification sees what searches see.
    await backends.elasticsearch.indices.refresh(index=backends.alias)
    await assert_in_sync(settings)


@pytest.fixture
async def dependencies(settings: Settings) -> AsyncIterator[DependencyProxies]:
    async with dependency_proxies(settings) as dependencies:
        yield dependencies


@pytest.fixture
async def workload(settings: Settings, database: AsyncEngine) -> WriterWorkload:
    """Writers to a sample catalogue that is in the outbox but not indexed yet."""
    seed = int(os.environ.get("FAULT_SEED") or randrange(1_000_000))
    logging.getLogger(__name__).warning("to repeat these changes: FAULT_SEED=%d", seed)
    await sample_data.seed(settings.database_url, DEPARTURES, seed, today=TODAY)
    return await WriterWorkload.create(database, seed)


@pytest.fixture
async def sync(
    settings: Settings, backends: Backends, index: str, workload: WriterWorkload, dependencies: DependencyProxies
) -> SyncFixture:
    return SyncFixture(settings, backends, index, workload, dependencies)
