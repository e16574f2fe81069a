"""Workers that are killed, or stopped and woken again, at the worst moments of a batch."""

import asyncio
import signal
import time
from typing import Any

from sqlalchemy import text

from tests.fault_injection.worker.conftest import Scene
from tests.fault_injection.worker.recorded_bulks import bulks
from tests.fault_injection.worker.worker_process import SOON, process
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.sync import execute, waiting

CHANGE = "UPDATE trip_occurrences SET spots_left = 77 WHERE id = :trip"
UNDO = "UPDATE trip_occurrences SET spots_left = 7 WHERE id = :trip"
DELETE = "DELETE FROM trip_occurrences WHERE id = :trip"


async def a_trip(scene: Scene) -> int:
    async with scene.platform.engine.connect() as connection:
        return await connection.scalar(text("SELECT min(id) FROM trip_occurrences")) or 0


async def found(scene: Scene, trip: int) -> dict[str, Any] | None:
    """What Elasticsearch has, searchable or not."""
    answer = await scene.stores.elasticsearch.options(ignore_status=404).get(index=scene.index, id=str(trip))
    return answer["_source"] if answer["found"] else None


async def is_changed(scene: Scene, trip: int) -> bool:
    document = await found(scene, trip)
    return document is not None and document["spots"] == 77


async def is_gone(scene: Scene, trip: int) -> bool:
    return await found(scene, trip) is None


async def hold_a_write(scene: Scene, trip: int) -> None:
    """Changes the departure; the worker's bulk request of it is on its way to Elasticsearch and goes no further.

    Another request may be held instead, with which the worker makes sure of the index's history: then once more.
    """
    while not await _is_write_held(scene, trip):
        await scene.ways["elasticsearch"].switch(Mode.PASS)
        await execute(scene.platform.engine, UNDO, trip=trip)


async def _is_write_held(scene: Scene, trip: int) -> bool:
    await scene.in_sync()
    way = scene.ways["elasticsearch"]
    before = len(list(bulks(way)))
    await way.switch(Mode.STALL)
    await execute(scene.platform.engine, CHANGE, trip=trip)
    deadline = time.monotonic() + 2.0
    while len(list(bulks(way))) == before and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return len(list(bulks(way))) > before


async def test_a_worker_killed_before_its_write_arrived_leaves_the_change_to_the_next(scene: Scene) -> None:
    trip = await a_trip(scene)
    async with process(scene.breakable) as killed:
        await hold_a_write(scene, trip)
        await killed.kill()
    await scene.ways["elasticsearch"].switch(Mode.CUT)
    assert not await is_changed(scene, trip)
    assert await waiting(scene.stores.postgres) == 1
    async with process(scene.settings):
        await scene.in_sync()
    assert await is_changed(scene, trip)


async def test_a_worker_killed_between_its_write_and_the_removal_of_the_row_has_it_written_again(scene: Scene) -> None:
    trip = await a_trip(scene)
    async with process(scene.breakable) as killed:
        await scene.in_sync()
        await scene.ways["elasticsearch"].switch(Mode.MUTE)
        await execute(scene.platform.engine, CHANGE, trip=trip)
        await eventually(lambda: is_changed(scene, trip))
        await killed.kill()
    assert await waiting(scene.stores.postgres) == 1
    async with process(scene.settings):
        await scene.in_sync()


async def test_the_write_of_a_killed_worker_that_arrives_after_a_deletion_brings_nothing_back(scene: Scene) -> None:
    trip = await a_trip(scene)
    async with process(scene.breakable) as killed:
        await hold_a_write(scene, trip)
        await killed.kill()
    async with process(scene.settings):
        await execute(scene.platform.engine, DELETE, trip=trip)
        await scene.in_sync()
        before = await outdated(scene)
        await scene.ways["elasticsearch"].switch(Mode.PASS)
        await eventually(lambda: outdated_since(scene, before))
        await scene.in_sync()
    assert await is_gone(scene, trip)


async def outdated(scene: Scene) -> int:
    """Writes that Elasticsearch has refused for their version so far."""
    answer = await scene.stores.elasticsearch.indices.stats(index=scene.index, metric="indexing")
    conflicts: int = answer["_all"]["primaries"]["indexing"]["index_failed_due_to_version_conflict"]
    return conflicts


async def outdated_since(scene: Scene, before: int) -> bool:
    return await outdated(scene) > before


async def test_a_worker_stopped_for_longer_than_deletions_are_remembered_puts_right_what_it_brings_back(
    scene: Scene,
) -> None:
    trip = await a_trip(scene)
    async with process(scene.breakable, stalled_after=2.0) as stopped:
        await hold_a_write(scene, trip)
        stopped.send(signal.SIGSTOP)
        async with process(scene.settings):
            await execute(scene.platform.engine, DELETE, trip=trip)
            await scene.in_sync()
            assert await is_gone(scene, trip)
            await forget_deletions(scene)
            await scene.ways["elasticsearch"].switch(Mode.PASS)
            await eventually(lambda: is_changed(scene, trip))
            stopped.send(signal.SIGCONT)
            await eventually(lambda: is_gone(scene, trip), SOON)
            await scene.in_sync()


async def forget_deletions(scene: Scene) -> None:
    indices = scene.stores.elasticsearch.indices
    await indices.put_settings(index=scene.index, settings={"index.gc_deletes": "0s"})
    await asyncio.sleep(0.5)
    await indices.forcemerge(index=scene.index)
