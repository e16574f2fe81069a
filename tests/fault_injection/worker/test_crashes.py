"""Servers that crash and restart with what was on their disks."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from core import clients
from core.configuration.settings import Settings
from indexer.backends import open_backends
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from scripts.dev_stack.elasticsearch.service import ELASTICSEARCH
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.servers import server
from tests.conftest import TODAY
from tests.fault_injection.worker.conftest import DEPARTURES, wait_until_in_sync
from tests.fault_injection.worker.worker_process import worker_task
from tests.fault_injection.worker.writer_workload import WriterWorkload
from tests.support.sync import ignore_progress

pytestmark = pytest.mark.slow


async def test_sync_continues_after_postgres_crash(settings: Settings, no_index: None) -> None:
    async with server(POSTGRES) as postgres:
        own = settings.model_copy(update={"database_url": postgres.url.replace("://", "+asyncpg://")})
        await asyncio.to_thread(migrations.upgrade, own.database_url)
        await sample_data.seed(own.database_url, DEPARTURES, today=TODAY)
        engine = clients.postgres(own.database_url)
        workload = await WriterWorkload.create(engine, seed=1)
        await reindex(own, ignore_progress)
        async with open_backends(own) as backends, worker_task(own):
            await wait_until_in_sync(own, backends)
            for _ in range(3):
                for _ in range(30):
                    await workload.write()
                postgres.kill()
                await postgres.start()
            await wait_until_in_sync(own, backends)
        await engine.dispose()


async def test_sync_continues_after_elasticsearch_crash(
    settings: Settings, database: AsyncEngine, workload: WriterWorkload
) -> None:
    async with server(ELASTICSEARCH) as elasticsearch:
        own = settings.model_copy(update={"elasticsearch_url": elasticsearch.url})
        await reindex(own, ignore_progress)
        async with open_backends(own) as backends, worker_task(own):
            await wait_until_in_sync(own, backends)
            async with workload.running():
                elasticsearch.kill()
                await elasticsearch.start()
            await wait_until_in_sync(own, backends)
