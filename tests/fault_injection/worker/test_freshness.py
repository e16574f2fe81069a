"""How long changes take to be searchable while one of two workers fails, or one of two nodes of Elasticsearch."""

import asyncio
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from signal import SIGSTOP

import pytest
from sqlalchemy import text

from core.concurrency.tasks import background_task
from scripts.benchmark.load.open_loop import due_times
from tests.fault_injection.worker.conftest import SyncFixture
from tests.fault_injection.worker.worker_process import live_worker_process
from tests.support.eventually import eventually
from tests.support.fault_proxy import Mode
from tests.support.processes import RunningProcess
from tests.support.sync import indexed

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CHANGES_PER_SECOND = 50
SECONDS_BEFORE, SECONDS_AFTER = 5, 30
P99_SECONDS = 5.0
CLAIMED_SECONDS = 90.0
"""Within which another worker has what the one that fails has claimed: Postgres ends its transaction after 60 s."""

Fault = Callable[[SyncFixture, RunningProcess], Awaitable[None]]


async def kill(sync: SyncFixture, worker: RunningProcess) -> None:
    await worker.kill()


async def stop(sync: SyncFixture, worker: RunningProcess) -> None:
    os.kill(worker.process.pid, SIGSTOP)


async def cut_off(sync: SyncFixture, worker: RunningProcess) -> None:
    await sync.dependencies.switch_all(Mode.STALL)


@dataclass
class Freshness:
    """Changes a departure after another, and measures when searches show each change or a later one."""

    sync: SyncFixture
    delays: list[float] = field(default_factory=list)
    _waiting: dict[int, deque[tuple[int, float]]] = field(default_factory=dict)
    """Numbers that were written to a departure, and when they were committed, oldest first."""

    async def change(self, seconds: float) -> None:
        trips = sorted(await indexed(self.sync.backends))
        numbers = zip(itertools.count(1000), itertools.cycle(trips), strict=False)
        async for _ in due_times(CHANGES_PER_SECOND, int(CHANGES_PER_SECOND * seconds), time.perf_counter):
            number, trip = next(numbers)
            async with self.sync.workload.engine.begin() as connection:
                await connection.execute(
                    text("UPDATE trip_occurrences SET spots_left = :number WHERE id = :trip"),
                    {"number": number, "trip": trip},
                )
            self._waiting.setdefault(trip, deque()).append((number, time.monotonic()))

    async def watch(self) -> None:
        """Look at the index, until cancelled."""
        es, alias = self.sync.backends.elasticsearch, self.sync.backends.alias
        while True:
            found = await es.search(index=alias, size=1000, source={"includes": ["spots"]})
            now = time.monotonic()
            for hit in found["hits"]["hits"]:
                waiting = self._waiting.get(int(hit["_id"]), deque())
                while waiting and waiting[0][0] <= hit["_source"]["spots"]:
                    self.delays.append(now - waiting.popleft()[1])
            await asyncio.sleep(0.05)

    def is_done(self) -> bool:
        return not any(self._waiting.values())


@pytest.mark.parametrize("fault", [kill, stop, cut_off])
async def test_changes_stay_fresh_while_one_of_two_workers_fails(sync: SyncFixture, fault: Fault) -> None:
    freshness = Freshness(sync)
    async with (
        live_worker_process(sync.dependencies.settings) as failing,
        live_worker_process(sync.settings),
        background_task(freshness.watch()),
    ):
        await sync.wait_until_in_sync()
        await freshness.change(SECONDS_BEFORE)
        await fault(sync, failing)
        await freshness.change(SECONDS_AFTER)
        await eventually(freshness.is_done, within=CLAIMED_SECONDS)
        await sync.dependencies.switch_all(Mode.PASS)
        assert_fresh(freshness)
        await sync.wait_until_in_sync()


async def test_changes_stay_fresh_while_one_of_two_nodes_stalls(sync: SyncFixture) -> None:
    freshness, node = Freshness(sync), sync.dependencies["elasticsearch"]
    nodes = f"{node.url},{sync.settings.elasticsearch_url}"
    async with (
        live_worker_process(sync.settings.model_copy(update={"elasticsearch_url": nodes})),
        background_task(freshness.watch()),
    ):
        await sync.wait_until_in_sync()
        await freshness.change(SECONDS_BEFORE)
        await node.switch(Mode.STALL)
        await freshness.change(SECONDS_AFTER)
        await eventually(freshness.is_done, within=CLAIMED_SECONDS)
        await node.switch(Mode.PASS)
        assert_fresh(freshness)
        await sync.wait_until_in_sync()


def assert_fresh(freshness: Freshness) -> None:
    delays = sorted(freshness.delays)
    log.info("p50 %.2f s, p99 %.2f s, longest %.2f s", *(share(delays, part) for part in (0.5, 0.99, 1)))
    assert share(delays, 0.99) < P99_SECONDS


def share(delays: list[float], part: float) -> float:
    return delays[min(int(len(delays) * part), len(delays) - 1)]
