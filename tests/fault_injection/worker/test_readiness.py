"""Readiness of a worker without an index: a rebuild counts as progress, and a worker that stands still does not."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.index import locks
from tests.fault_injection.worker.worker_process import SOON
from tests.support.dependency_proxies import DependencyProxies
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import Mode
from tests.support.http_client import http_client
from tests.support.processes import RunningProcess, worker_process

STUCK_AFTER = 6.0
"""Seconds without progress after which the worker is not ready: more than it needs to notice progress."""
WORKER = f"""
from indexer.observability import health_server
from scripts.cli import main
health_server.STUCK_AFTER_SECONDS = {STUCK_AFTER}
main()
"""


@asynccontextmanager
async def held_rebuilds(database: AsyncEngine) -> AsyncIterator[None]:
    """Keep rebuilds, once they have begun, from registering their index, by a lock on the registry."""
    async with database.begin() as holder:
        await holder.execute(text("LOCK TABLE smarttrip.index_targets IN SHARE MODE"))
        yield


async def is_rebuilding(database: AsyncEngine) -> bool:
    async with database.connect() as connection:
        return await locks.is_rebuilding(connection)


async def status(worker: RunningProcess) -> int:
    async with http_client(worker.url) as client:
        return (await client.get("/readyz")).status_code


@pytest.mark.slow
async def test_worker_is_ready_while_it_builds_and_not_while_it_stands_still(
    database: AsyncEngine, catalogue: CatalogueFactory, no_index: None, dependencies: DependencyProxies
) -> None:
    async with worker_process(dependencies.settings, command=(sys.executable, "-c", WORKER, "worker")) as worker:
        async with held_rebuilds(database):
            await catalogue.occurrence()
            await worker.wait_until_responding("/readyz")
            await eventually(lambda: is_rebuilding(database), SOON)
            begun = time.monotonic()
            while time.monotonic() < begun + 2 * STUCK_AFTER:
                assert await status(worker) == 200
                await asyncio.sleep(0.1)
            assert await is_rebuilding(database)
            await dependencies["elasticsearch"].switch(Mode.CUT)

        async def is_stuck() -> bool:
            return await status(worker) == 503

        await eventually(is_stuck, SOON)
        assert not await is_rebuilding(database)
        await dependencies["elasticsearch"].switch(Mode.PASS)
        await worker.wait_until_responding("/readyz")
