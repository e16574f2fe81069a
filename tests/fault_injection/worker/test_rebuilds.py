"""Reindexes that are killed, run concurrently, or run while writers write."""

import asyncio
from asyncio.subprocess import DEVNULL, Process

import pytest

from indexer.errors import ReindexRunningError
from indexer.index.admin import all_names, live_index
from indexer.rebuild.reindex import reindex
from indexer.rebuild.rollback import rollback
from scripts.errors import ExitCode
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.worker_process import SOON, worker_task
from tests.support.eventually import eventually
from tests.support.processes import SMARTTRIP, environment
from tests.support.sync import ignore_progress


async def start_reindex(sync: SyncFixture, **variables: str) -> Process:
    """Start `smarttrip reindex`, and return when it has created its index or has ended."""
    before = await index_names(sync)
    process = await asyncio.create_subprocess_exec(
        SMARTTRIP, "reindex", env=environment(sync.settings, **variables), stdout=DEVNULL, stderr=DEVNULL
    )

    async def has_begun() -> bool:
        return process.returncode is not None or not await index_names(sync) <= before

    await eventually(has_begun, SOON)
    return process


async def index_names(sync: SyncFixture) -> set[str]:
    return await all_names(sync.backends.elasticsearch, sync.backends.alias)


async def live(sync: SyncFixture) -> str | None:
    return await live_index(sync.backends.elasticsearch, sync.backends.alias)


async def test_reindex_and_rollback_lose_no_change(sync: SyncFixture) -> None:
    async with worker_task(sync.settings):
        async with sync.workload.running(rate=100):
            report = await reindex(sync.settings, ignore_progress)
            assert await live(sync) == report.name
            assert await rollback(sync.settings) == sync.index
        await sync.wait_until_in_sync()
        await rollback(sync.settings)
        await sync.wait_until_in_sync()
    assert await index_names(sync) == {sync.index, report.name}


@pytest.mark.slow
async def test_concurrent_reindex_is_rejected(sync: SyncFixture) -> None:
    async with worker_task(sync.settings):
        async with sync.workload.running():
            first = await start_reindex(sync, REINDEX_RATE="8")
            second = await start_reindex(sync)
            assert await second.wait() == ExitCode.BUSY
            assert first.returncode is None
            assert await first.wait() == 0
        await sync.wait_until_in_sync()
    assert await live(sync) != sync.index
    assert len(await index_names(sync)) == 2


@pytest.mark.parametrize("kills", [2, pytest.param(8, marks=pytest.mark.slow)])
async def test_killed_reindex_can_be_repeated(sync: SyncFixture, kills: int) -> None:
    async with worker_task(sync.settings):
        async with sync.workload.running():
            for _ in range(kills):
                process = await start_reindex(sync)
                await asyncio.sleep(sync.workload.random.uniform(0.0, 0.5))
                if process.returncode is None:
                    process.kill()
                await process.wait()
            await eventually(lambda: is_reindexed(sync), SOON)
        await sync.wait_until_in_sync()
    assert len(await index_names(sync)) == 2


async def is_reindexed(sync: SyncFixture) -> bool:
    """Reindex, unless the worker is just removing what the killed reindex left."""
    try:
        await reindex(sync.settings, ignore_progress)
    except ReindexRunningError:
        return False
    return True
