"""Workers that are killed or suspended at the worst moments of a batch."""

import asyncio
import signal
import time
from typing import Any

from sqlalchemy import text

from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.recorded_bulks import recorded_bulks
from tests.fault_injection.worker.worker_process import SOON, live_worker_process
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.sync import execute, waiting

CHANGE = "UPDATE trip_occurrences SET spots_left = 77 WHERE id = :trip"
UNDO = "UPDATE trip_occurrences SET spots_left = 7 WHERE id = :trip"
DELETE = "DELETE FROM trip_occurrences WHERE id = :trip"


async def first_departure(sync: SyncFixture) -> int:
    async with sync.workload.engine.connect() as connection:
        return await connection.scalar(text("SELECT min(id) FROM trip_occurrences")) or 0


async def get_document(sync: SyncFixture, trip: int) -> dict[str, Any] | None:
    """Return the document in Elasticsearch, even before a refresh has made it searchable."""
    response = await sync.backends.elasticsearch.options(ignore_status=404).get(index=sync.index, id=str(trip))
    return response["_source"] if response["found"] else None


async def is_changed(sync: SyncFixture, trip: int) -> bool:
    document = await get_document(sync, trip)
    return document is not None and document["spots"] == 77


async def is_deleted(sync: SyncFixture, trip: int) -> bool:
    return await get_document(sync, trip) is None


async def hold_write_of_change(sync: SyncFixture, trip: int, mode: Mode = Mode.STALL) -> None:
    """Change the departure, and hold the worker's bulk request for it, or with `Mode.MUTE` the response to it.

    The proxy may hold another request instead, with which the worker verifies the history of the index; then the
    change is undone and made again.
    """
    while not await _is_write_held(sync, trip, mode):
        await sync.dependencies["elasticsearch"].switch(Mode.PASS)
        await execute(sync.workload.engine, UNDO, trip=trip)


async def _is_write_held(sync: SyncFixture, trip: int, mode: Mode) -> bool:
    await sync.wait_until_in_sync()
    proxy = sync.dependencies["elasticsearch"]
    before = len(list(recorded_bulks(proxy)))
    await proxy.switch(mode)
    await execute(sync.workload.engine, CHANGE, trip=trip)
    deadline = time.monotonic() + 2.0
    while len(list(recorded_bulks(proxy))) == before and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return len(list(recorded_bulks(proxy))) > before


async def test_kill_before_the_write_loses_no_change(sync: SyncFixture) -> None:
    trip = await first_departure(sync)
    async with live_worker_process(sync.dependencies.settings) as worker:
        await hold_write_of_change(sync, trip)
        await worker.kill()
    await sync.dependencies["elasticsearch"].switch(Mode.CUT)
    assert not await is_changed(sync, trip)
    assert await waiting(sync.backends.postgres) == 1
    async with live_worker_process(sync.settings):
        await sync.wait_until_in_sync()
    assert await is_changed(sync, trip)


async def test_kill_after_the_write_repeats_the_write(sync: SyncFixture) -> None:
    trip = await first_departure(sync)
    async with live_worker_process(sync.dependencies.settings) as worker:
        await hold_write_of_change(sync, trip, Mode.MUTE)
        await eventually(lambda: is_changed(sync, trip))
        await worker.kill()
    assert await waiting(sync.backends.postgres) == 1
    async with live_worker_process(sync.settings):
        await sync.wait_until_in_sync()


async def test_late_write_does_not_undo_a_deletion(sync: SyncFixture) -> None:
    trip = await first_departure(sync)
    async with live_worker_process(sync.dependencies.settings) as worker:
        await hold_write_of_change(sync, trip)
        await worker.kill()
    async with live_worker_process(sync.settings):
        await execute(sync.workload.engine, DELETE, trip=trip)
        await sync.wait_until_in_sync()
        before = await version_conflicts(sync)
        await sync.dependencies["elasticsearch"].switch(Mode.PASS)
        await eventually(lambda: has_more_conflicts(sync, before))
        await sync.wait_until_in_sync()
    assert await is_deleted(sync, trip)


async def version_conflicts(sync: SyncFixture) -> int:
    """Return how many writes Elasticsearch has rejected because of their versions."""
    response = await sync.backends.elasticsearch.indices.stats(index=sync.index, metric="indexing")
    conflicts: int = response["_all"]["primaries"]["indexing"]["index_failed_due_to_version_conflict"]
    return conflicts


async def has_more_conflicts(sync: SyncFixture, before: int) -> bool:
    return await version_conflicts(sync) > before


async def test_write_after_tombstone_expiry_is_repaired(sync: SyncFixture) -> None:
    """A worker is suspended until Elasticsearch has dropped the tombstone of a departure that it still writes."""
    trip = await first_departure(sync)
    async with live_worker_process(sync.dependencies.settings, stalled_after=2.0) as suspended:
        await hold_write_of_change(sync, trip)
        suspended.process.send_signal(signal.SIGSTOP)
        async with live_worker_process(sync.settings):
            await execute(sync.workload.engine, DELETE, trip=trip)
            await sync.wait_until_in_sync()
            assert await is_deleted(sync, trip)
            await drop_tombstones(sync)
            await sync.dependencies["elasticsearch"].switch(Mode.PASS)
            await eventually(lambda: is_changed(sync, trip))
            suspended.process.send_signal(signal.SIGCONT)
            await eventually(lambda: is_deleted(sync, trip), SOON)
            await sync.wait_until_in_sync()


async def drop_tombstones(sync: SyncFixture) -> None:
    indices = sync.backends.elasticsearch.indices
    await indices.put_settings(index=sync.index, settings={"index.gc_deletes": "0s"})
    await asyncio.sleep(0.5)
    await indices.forcemerge(index=sync.index)
