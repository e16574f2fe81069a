"""A Postgres that is no longer the one it was: set back to an earlier state, or another one that took over."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.engine import make_url

import migrations
from core.settings import Settings
from indexer.backends import open_backends
from indexer.index.admin import live_index
from indexer.rebuild.reindex import reindex
from scripts import sample_data
from scripts.dev_stack.postgres import POSTGRES
from tests.conftest import TODAY, plain
from tests.fault_injection.worker.conftest import DEPARTURES, Scene
from tests.fault_injection.worker.server_process import Server, server, standby
from tests.fault_injection.worker.worker_process import SOON, working
from tests.fault_injection.worker.writer_workload import Platform
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.sync import ignore_progress

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own


async def copy(scene: Scene, source: str, copied: str) -> None:
    """Makes the second database anew, as the first is now; whoever uses them loses the connection."""
    server = make_url(scene.settings.database_url).set(database="postgres")
    connection = await asyncpg.connect(plain(server.render_as_string(hide_password=False)))
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {copied} WITH (FORCE)")
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", source)
        await connection.execute(f"CREATE DATABASE {copied} TEMPLATE {source}")
    finally:
        await connection.close()


@pytest.mark.slow
async def test_a_postgres_set_back_to_an_earlier_state_has_the_index_built_again(scene: Scene) -> None:
    name = make_url(scene.settings.database_url).database or ""
    async with working(scene.settings):
        await scene.in_sync()
    await scene.platform.engine.dispose()
    await scene.stores.postgres.dispose()
    await copy(scene, name, f"{name}_backup")
    async with working(scene.settings):
        for _ in range(20):
            await scene.platform.change()
            await scene.in_sync()
        await copy(scene, f"{name}_backup", name)
        await scene.platform.change()
        await eventually(lambda: is_another(scene), SOON)
        await scene.in_sync()


async def is_another(scene: Scene) -> bool:
    return await live_index(scene.stores.elasticsearch, scene.stores.alias) != scene.index


@pytest.mark.slow
async def test_a_standby_that_takes_over_without_the_last_changes_has_the_index_built_again(
    settings: Settings, no_index: None
) -> None:
    async with server(POSTGRES) as primary, FaultProxy(primary.url) as way:
        own = settings.model_copy(update={"database_url": way.url.replace("://", "+asyncpg://")})
        await asyncio.to_thread(migrations.upgrade, own.database_url)
        await sample_data.seed(own.database_url, DEPARTURES, today=TODAY)
        name = (await reindex(own, ignore_progress)).name
        async with standby(primary) as second, open_backends(own) as stores, working(own):
            platform = Platform(stores.postgres, seed=1)
            await platform.find_rows()
            scene = Scene(own, stores, name, platform, {})
            for _ in range(20):
                await platform.change()
            await scene.in_sync()
            primary.kill()
            await second.start()
            await promote(second)
            way.lead_to(second.url)
            await eventually(lambda: is_another(scene), SOON)
            await scene.in_sync()


async def promote(second: Server) -> None:
    connection = await asyncpg.connect(second.url)
    try:
        assert await connection.fetchval("SELECT pg_promote()")
    finally:
        await connection.close()
