"""Reindexes that are killed, that meet each other, or run while the platform writes."""

import asyncio
from asyncio.subprocess import DEVNULL, Process

import pytest

from indexer.errors import ReindexRunningError
from indexer.index.admin import all_names, live_index
from indexer.rebuild.reindex import reindex
from indexer.rebuild.rollback import rollback
from scripts.errors import ExitCode
from tests.fault_injection.worker.conftest import Scene
from tests.fault_injection.worker.worker_process import SOON, working
from tests.support.api.serve_process import SMARTTRIP, environment
from tests.support.eventually import eventually
from tests.support.sync import ignore_progress

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own


async def begun(scene: Scene, **more: str) -> Process:
    """`smarttrip reindex` whose index is there, or which has ended already."""
    before = await indices(scene)
    process = await asyncio.create_subprocess_exec(
        SMARTTRIP, "reindex", env=environment(scene.settings, **more), stdout=DEVNULL, stderr=DEVNULL
    )

    async def has_begun() -> bool:
        return process.returncode is not None or not await indices(scene) <= before

    await eventually(has_begun, SOON)
    return process


async def indices(scene: Scene) -> set[str]:
    return await all_names(scene.stores.elasticsearch, scene.stores.alias)


async def in_use(scene: Scene) -> str | None:
    return await live_index(scene.stores.elasticsearch, scene.stores.alias)


async def test_a_reindex_and_the_way_back_lose_no_change_that_is_made_meanwhile(scene: Scene) -> None:
    async with working(scene.settings):
        async with scene.platform.writing(rate=100):
            report = await reindex(scene.settings, ignore_progress)
            assert await in_use(scene) == report.name
            assert await rollback(scene.settings) == scene.index
        await scene.in_sync()
        await rollback(scene.settings)
        await scene.in_sync()
    assert await indices(scene) == {scene.index, report.name}


@pytest.mark.slow
async def test_of_two_reindexes_at_once_the_second_is_refused(scene: Scene) -> None:
    async with working(scene.settings):
        async with scene.platform.writing():
            first = await begun(scene, REINDEX_RATE="8")
            second = await begun(scene)
            assert await second.wait() == ExitCode.BUSY
            assert first.returncode is None
            assert await first.wait() == 0
        await scene.in_sync()
    assert await in_use(scene) != scene.index
    assert len(await indices(scene)) == 2


@pytest.mark.parametrize("turns", [2, pytest.param(8, marks=pytest.mark.slow)])
async def test_a_reindex_killed_at_any_moment_can_be_run_again_and_leaves_no_index_behind(
    scene: Scene, turns: int
) -> None:
    async with working(scene.settings):
        async with scene.platform.writing():
            for _ in range(turns):
                killed = await begun(scene)
                await asyncio.sleep(scene.platform.random.uniform(0.0, 0.5))
                if killed.returncode is None:
                    killed.kill()
                await killed.wait()
            await eventually(lambda: is_reindexed(scene), SOON)
        await scene.in_sync()
    assert len(await indices(scene)) == 2


async def is_reindexed(scene: Scene) -> bool:
    """Unless the worker is just clearing away what the killed one left."""
    try:
        await reindex(scene.settings, ignore_progress)
    except ReindexRunningError:
        return False
    return True
