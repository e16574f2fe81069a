"""Whatever happens on the way to a server while changes are followed, all of them arrive once the way is free."""

import asyncio

import pytest

from tests.fault_injection.worker.conftest import Scene
from tests.fault_injection.worker.worker_process import working
from tests.support.fault_proxy import Mode

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


@pytest.mark.parametrize("way", ["elasticsearch", "postgres", "redis"])
async def test_connections_that_went_dead_without_a_word_cost_seconds_and_no_change(scene: Scene, way: str) -> None:
    """As behind a firewall that forgot them: no FIN, no RST, no answer."""
    impatient = {"background_statement_seconds": 2.0, "background_index_seconds": 2.0}
    async with working(scene.breakable.model_copy(update=impatient)):
        await scene.in_sync()
        scene.ways[way].strand()
        await scene.platform.change()
        await scene.in_sync()
