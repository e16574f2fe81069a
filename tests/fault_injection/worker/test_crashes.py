"""Servers that crash and come back with what was on their disks."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from core import clients
from core.settings import Settings
from indexer.backends import open_backends
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from scripts.dev_stack.elasticsearch.service import ELASTICSEARCH
from scripts.dev_stack.postgres import POSTGRES
from tests.conftest import TODAY
from tests.fault_injection.worker.conftest import DEPARTURES, Scene
from tests.fault_injection.worker.server_process import server
from tests.fault_injection.worker.worker_process import working
from tests.fault_injection.worker.writer_workload import Platform
from tests.support.sync import ignore_progress

pytestmark = [
    pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning"),  # arq's own
    pytest.mark.slow,
]


async def test_a_postgres_that_crashes_and_comes_back_is_followed_on(settings: Settings, no_index: None) -> None:
    async with server(POSTGRES) as postgres:
        own = settings.model_copy(update={"database_url": postgres.url.replace("://", "+asyncpg://")})
        await asyncio.to_thread(migrations.upgrade, own.database_url)
        await sample_data.seed(own.database_url, DEPARTURES, today=TODAY)
        engine = clients.postgres(own.database_url)
        platform = Platform(engine, seed=1)
        await platform.find_rows()
        await reindex(own, ignore_progress)
        async with open_backends(own) as stores, working(own):
            scene = Scene(own, stores, "", platform, {})
            await scene.in_sync()
            for _ in range(3):
                for _ in range(30):
                    await platform.change()
                postgres.kill()
                await postgres.start()
            await scene.in_sync()
        await engine.dispose()


async def test_an_elasticsearch_that_crashes_and_comes_back_is_written_on(
    settings: Settings, database: AsyncEngine, platform: Platform
) -> None:
    async with server(ELASTICSEARCH) as elasticsearch:
        own = settings.model_copy(update={"elasticsearch_url": elasticsearch.url})
        await reindex(own, ignore_progress)
        async with open_backends(own) as stores, working(own):
            scene = Scene(own, stores, "", platform, {})
            await scene.in_sync()
            async with platform.writing():
                elasticsearch.kill()
                await elasticsearch.start()
            await scene.in_sync()
