"""A Postgres that has lost committed changes: restored from a backup, or replaced by a standby that lagged."""

import asyncio

import pytest
from sqlalchemy.engine import make_url

import migrations
from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.index.admin import live_index
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.servers import promote, server, standby
from tests.conftest import TODAY
from tests.fault_injection.worker.conftest import DEPARTURES, SyncFixture, wait_until_in_sync
from tests.fault_injection.worker.worker_process import SOON, worker_task
from tests.fault_injection.worker.writer_workload import WriterWorkload
from tests.support.database_copies import copy_database
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.sync import ignore_progress

pytestmark = pytest.mark.slow


async def test_restored_database_rebuilds_the_index(sync: SyncFixture) -> None:
    name = make_url(sync.settings.database_url).database or ""
    async with worker_task(sync.settings):
        await sync.wait_until_in_sync()
    await sync.workload.engine.dispose()
    await sync.backends.postgres.dispose()
    await copy_database(sync.settings, name, f"{name}_backup")
    async with worker_task(sync.settings):
        for _ in range(20):
            await sync.workload.write()
            await sync.wait_until_in_sync()
        await copy_database(sync.settings, f"{name}_backup", name)
        await sync.workload.write()
        await eventually(lambda: is_replaced(sync.backends, sync.index), SOON)
        await sync.wait_until_in_sync()


async def is_replaced(backends: Backends, index: str) -> bool:
    return await live_index(backends.elasticsearch, backends.alias) != index


async def test_failover_with_lost_changes_rebuilds_the_index(settings: Settings, no_index: None) -> None:
    async with server(POSTGRES) as primary, FaultProxy(primary.url) as proxy:
        own = settings.model_copy(update={"database_url": proxy.url.replace("://", "+asyncpg://")})
        await asyncio.to_thread(migrations.upgrade, own.database_url)
        await sample_data.seed(own.database_url, DEPARTURES, today=TODAY)
        index = (await reindex(own, ignore_progress)).name
        async with standby(primary) as second, open_backends(own) as backends, worker_task(own):
            workload = await WriterWorkload.create(backends.postgres, seed=1)
            for _ in range(20):
                await workload.write()
            await wait_until_in_sync(own, backends)
            primary.kill()
            await second.start()
            await promote(second)
            proxy.redirect(second.url)
            await eventually(lambda: is_replaced(backends, index), SOON)
            await wait_until_in_sync(own, backends)
