"""A Postgres that is no longer the one it was: restarted after a crash, or set back to an earlier state."""

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from indexer.index import behind_alias
from tests.conftest import plain
from tests.eventually import eventually
from tests.fault.conftest import Scene
from tests.fault.workers import SOON, working

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
        async with scene.platform.writing():
            await eventually(lambda: is_another(scene), SOON)
        await scene.in_sync()


async def is_another(scene: Scene) -> bool:
    return await behind_alias(scene.stores.elasticsearch, scene.stores.alias) != scene.index
