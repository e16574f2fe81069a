"""Whatever happens on the way to a server while changes are followed, all of them arrive once the way is free."""

import asyncio

import pytest

from tests.eventually import eventually
from tests.fault.conftest import Scene
from tests.fault.workers import working
from tests.proxy import Mode

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own

BROKEN_FOR = 1.5
QUICK = {("elasticsearch", Mode.CUT), ("elasticsearch", Mode.MUTE), ("postgres", Mode.CUT), ("redis", Mode.STALL)}
FAULTS = [
    pytest.param(way, mode, marks=[] if (way, mode) in QUICK else pytest.mark.slow)
    for way in ("elasticsearch", "postgres", "redis")
    for mode in Mode
    if mode is not Mode.PASS
]


@pytest.mark.parametrize(("way", "mode"), FAULTS)
async def test_all_changes_arrive_in_spite_of(scene: Scene, way: str, mode: Mode) -> None:
    broken = scene.ways[way]
    async with working(scene.breakable):
        await scene.in_sync()
        async with scene.platform.writing():
            await asyncio.sleep(0.3)
            await broken.switch(mode)
            await asyncio.sleep(BROKEN_FOR)
            await broken.switch(Mode.PASS)
        await scene.in_sync()


async def test_a_listening_connection_that_went_dead_without_a_word_costs_seconds_and_no_change(scene: Scene) -> None:
    listening = scene.ways["listen"]
    async with working(scene.breakable):
        await scene.in_sync()
        before = len(listening.connections)
        listening.strand()
        await scene.platform.change()
        await scene.in_sync()
        await eventually(lambda: len(listening.connections) > before, within=15)
