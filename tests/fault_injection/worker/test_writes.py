"""Writes to Elasticsearch that come twice, in another order, or are refused in part or as a whole."""

from typing import Any

import pytest
from sqlalchemy import select

from indexer.index.admin import live_index
from schemas.tables import DeadLetter
from tests.fault_injection.worker.conftest import Scene
from tests.fault_injection.worker.recorded_bulks import bulks, replay
from tests.fault_injection.worker.worker_process import SOON, working
from tests.support.eventually import eventually
from tests.support.sync import execute

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own


async def test_bulk_requests_sent_again_in_any_order_change_nothing(scene: Scene) -> None:
    async with working(scene.breakable):
        for _ in range(10):
            await scene.platform.change()
            await scene.in_sync()
    requests = list(bulks(scene.ways["elasticsearch"]))
    assert len(requests) >= 5
    await replay(scene.settings.elasticsearch_url, requests, scene.platform.random)
    await scene.in_sync()


WAIT_FOR = "index.write.wait_for_active_shards"
REFUSALS = {
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
    ("refusing", "taking", "seconds"),
    [pytest.param(*REFUSALS[name], id=name, marks=pytest.mark.slow if name in SLOW else []) for name in REFUSALS],
)
async def test_what_is_refused_for_now_is_written_later(
    scene: Scene, refusing: dict[str, Any], taking: dict[str, Any], seconds: float
) -> None:
    indices = scene.stores.elasticsearch.indices
    async with working(scene.settings):
        await scene.in_sync()
        async with scene.platform.writing():
            await indices.put_settings(index=scene.index, settings=refusing)

            async def tried() -> bool:
                return await scene.attempts() > 0

            await eventually(tried, seconds + 5)
            await indices.put_settings(index=scene.index, settings=taking)
        await scene.in_sync()


async def test_a_row_that_cannot_be_shown_holds_up_no_other(scene: Scene) -> None:
    poison = "UPDATE trip_occurrences SET end_date = 'infinity' WHERE id = (SELECT min(id) FROM trip_occurrences)"
    async with working(scene.settings):
        async with scene.platform.writing():
            await execute(scene.platform.engine, poison)
            await eventually(lambda: has_dead_letter(scene), within=SOON)
        await scene.in_sync()


async def has_dead_letter(scene: Scene) -> bool:
    async with scene.platform.engine.connect() as connection:
        return bool(await connection.scalar(select(DeadLetter.id).limit(1)))


@pytest.mark.slow
async def test_an_index_dropped_by_hand_is_built_again(scene: Scene) -> None:
    async with working(scene.settings):
        await scene.in_sync()
        async with scene.platform.writing():
            await scene.stores.elasticsearch.indices.delete(index=scene.index)
            await eventually(lambda: has_another_index(scene), within=20)
        await scene.in_sync()


async def has_another_index(scene: Scene) -> bool:
    return await live_index(scene.stores.elasticsearch, scene.stores.alias) not in (None, scene.index)
