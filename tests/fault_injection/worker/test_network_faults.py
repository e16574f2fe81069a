"""Network faults between the worker and its servers: every change is indexed once the fault is over."""

import asyncio

import pytest

from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.worker_process import worker_task
from tests.support.dependency_proxies import DEPENDENCIES
from tests.support.fault_proxy import Mode

FAULT_SECONDS = 1.5
QUICK = {("elasticsearch", Mode.CUT), ("elasticsearch", Mode.MUTE), ("postgres", Mode.CUT), ("redis", Mode.STALL)}
FAULTS = [
    pytest.param(dependency, mode, marks=[] if (dependency, mode) in QUICK else pytest.mark.slow)
    for dependency in DEPENDENCIES
    for mode in Mode
    if mode is not Mode.PASS
]


@pytest.mark.parametrize(("dependency", "mode"), FAULTS)
async def test_network_fault_loses_no_change(sync: SyncFixture, dependency: str, mode: Mode) -> None:
    async with worker_task(sync.dependencies.settings):
        await sync.wait_until_in_sync()
        async with sync.workload.running():
            await asyncio.sleep(0.3)
            async with sync.dependencies.broken(dependency, mode):
                await asyncio.sleep(FAULT_SECONDS)
        await sync.wait_until_in_sync()


@pytest.mark.parametrize("dependency", DEPENDENCIES)
async def test_dead_connections_lose_no_change(sync: SyncFixture, dependency: str) -> None:
    """Packets are dropped as by a firewall that has forgotten the connections: no FIN, no RST, no response."""
    short_timeouts = {"background_statement_seconds": 2.0, "background_index_seconds": 2.0}
    async with worker_task(sync.dependencies.settings.model_copy(update=short_timeouts)):
        await sync.wait_until_in_sync()
        sync.dependencies[dependency].drop_packets()
        await sync.workload.write()
        await sync.wait_until_in_sync()
