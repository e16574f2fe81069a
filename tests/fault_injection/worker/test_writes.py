"""Bulk requests that arrive twice or out of order, or that Elasticsearch rejects in part or as a whole."""

from typing import Any

import pytest
from sqlalchemy import select

from indexer.index.admin import live_index
from schemas.tables import DeadLetter
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.recorded_bulks import recorded_bulks, replay
from tests.fault_injection.worker.worker_process import SOON, worker_task
from tests.support.eventually import eventually
from tests.support.sync import execute


async def test_replayed_bulks_change_nothing(sync: SyncFixture) -> None:
    async with worker_task(sync.dependencies.settings):
        for _ in range(10):
            await sync.workload.write()
            await sync.wait_until_in_sync()
    requests = list(recorded_bulks(sync.dependencies["elasticsearch"]))
    assert len(requests) >= 5
    await replay(sync.settings.elasticsearch_url, requests, sync.workload.random)
    await sync.wait_until_in_sync()


WAIT_FOR = "index.write.wait_for_active_shards"
REJECTIONS = {
    "403 for a blocked index": ({"index.blocks.write": True}, {"index.blocks.write": None}, 1.0),
    "429 for a full disk": (
        {"index.blocks.read_only_allow_delete": True},
        {"index.blocks.read_only_allow_delete": None},
        1.0,
    ),
    "503 for a shard without a copy": (
        {"index.auto_expand_replicas": "false", "index.number_of_replicas": 1, WAIT_FOR: "all"},
        {"index.auto_expand_replicas": "0-1", WAIT_FOR: None},
        12.0,
    ),
}
SLOW = ("429 for a full disk", "503 for a shard without a copy")


@pytest.mark.parametrize(
    ("rejecting", "accepting", "seconds"),
    [pytest.param(*REJECTIONS[name], id=name, marks=pytest.mark.slow if name in SLOW else []) for name in REJECTIONS],
)
async def test_temporary_rejection_is_retried(
    sync: SyncFixture, rejecting: dict[str, Any], accepting: dict[str, Any], seconds: float
) -> None:
    indices = sync.backends.elasticsearch.indices
    async with worker_task(sync.settings):
        await sync.wait_until_in_sync()
        async with sync.workload.running():
            await indices.put_settings(index=sync.index, settings=rejecting)

            async def has_failed() -> bool:
                return await sync.attempts() > 0

            await eventually(has_failed, seconds + 5)
            await indices.put_settings(index=sync.index, settings=accepting)
        await sync.wait_until_in_sync()


async def test_invalid_row_blocks_no_other(sync: SyncFixture) -> None:
    # The last row is none of those that the workload deletes.
    corrupt = "UPDATE trip_occurrences SET end_date = 'infinity' WHERE id = (SELECT max(id) FROM trip_occurrences)"
    async with worker_task(sync.settings):
        async with sync.workload.running():
            await execute(sync.workload.engine, corrupt)
            await eventually(lambda: has_dead_letter(sync), within=SOON)
        await sync.wait_until_in_sync()


async def has_dead_letter(sync: SyncFixture) -> bool:
    async with sync.workload.engine.connect() as connection:
        return bool(await connection.scalar(select(DeadLetter.id).limit(1)))


@pytest.mark.slow
async def test_deleted_index_is_rebuilt(sync: SyncFixture) -> None:
    async with worker_task(sync.settings):
        await sync.wait_until_in_sync()
        async with sync.workload.running():
            await sync.backends.elasticsearch.indices.delete(index=sync.index)
            await eventually(lambda: is_replaced(sync), within=20)
        await sync.wait_until_in_sync()


async def is_replaced(sync: SyncFixture) -> bool:
    return await live_index(sync.backends.elasticsearch, sync.backends.alias) not in (None, sync.index)
