"""Transactions that commit late, and several workers at once."""

import pytest
from sqlalchemy import text

from indexer.rebuild.reindex import reindex
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.worker_process import live_worker_process, worker_task
from tests.support.sync import ignore_progress, indexed


async def test_late_commit_is_indexed(sync: SyncFixture) -> None:
    """Its outbox rows have lower ids than many that were deleted before it commits."""
    async with worker_task(sync.settings), sync.workload.engine.connect() as slow:
        trip = await slow.scalar(text("SELECT max(id) FROM trip_occurrences"))
        await slow.execute(text("UPDATE trip_occurrences SET spots_left = 77 WHERE id = :trip"), {"trip": trip})
        for _ in range(20):
            await sync.workload.write()
        await sync.wait_until_in_sync()
        await reindex(sync.settings, ignore_progress)
        assert (await indexed(sync.backends))[trip]["spots"] != 77
        await slow.commit()
        await sync.wait_until_in_sync()
    assert (await indexed(sync.backends))[trip]["spots"] == 77


@pytest.mark.slow
async def test_three_workers_end_in_sync(sync: SyncFixture) -> None:
    async with live_worker_process(sync.settings), live_worker_process(sync.settings), worker_task(sync.settings):
        async with sync.workload.running(rate=200), sync.workload.running(rate=200):
            while sync.workload.committed < 500:
                await sync.workload.write()
        await sync.wait_until_in_sync()
