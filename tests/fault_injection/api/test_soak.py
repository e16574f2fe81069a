"""Visitors, writers and random faults for minutes: no lost request, no leak, and an index in sync at the end."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from scripts.drill.load_generator import LoadClient, Request, failures, load_client, mixed_requests
from tests.fault_injection.api.breakable_api import BreakableApi, breakable_api
from tests.fault_injection.api.conftest import SearchBodies
from tests.fault_injection.api.test_faults import FAULTS, SHORT_TIMEOUTS, is_healthy
from tests.support.dependency_proxies import DEPENDENCIES
from tests.support.eventually import eventually
from tests.support.processes import worker_process
from tests.support.sync import is_in_sync

log = logging.getLogger(__name__)

RATE = 50
RECOVERY_SECONDS = 30
OTHER_FILES = 5
"""Open files, apart from connections to dependencies, by which a process may grow."""
MAX_GROWTH = 1.15
"""Of memory, between the second and the last quarter of a soak."""
MEGABYTE = 1024 * 1024

WRITES = (
    "UPDATE trip_occurrences SET spots_left = 1 + (:number % 20) WHERE id % 50 = :number % 50",
    "UPDATE trip_occurrences SET price_override = 1000 + :number % 5000 WHERE id % 97 = :number % 97",
    "UPDATE trip_templates SET title = 'Journey ' || :number WHERE id % 31 = :number % 31",
    "UPDATE companies SET name = 'Company ' || id || ' of ' || :number WHERE id % 5 = :number % 5",
)


@dataclass
class MemorySamples:
    """Resident memory of processes, second by second, in megabytes."""

    processes: Sequence[psutil.Process]
    samples: list[Sequence[float]] = field(default_factory=list)

    async def collect(self) -> None:
        while True:
            self.samples.append([process.memory_info().rss / MEGABYTE for process in self.processes])
            await asyncio.sleep(1)

    def assert_flat(self) -> None:
        quarter = len(self.samples) // 4
        for name, samples in zip(("API", "worker"), zip(*self.samples, strict=True), strict=True):
            early, late = median(samples[quarter : 2 * quarter]), median(samples[-quarter:])
            log.info("%s: %.0f MB in the second quarter, %.0f MB in the last", name, early, late)
            assert late < MAX_GROWTH * early


@dataclass(frozen=True)
class Soak:
    api: BreakableApi
    engine: AsyncEngine
    rng: random.Random

    async def inject_faults(self) -> None:
        """Break one dependency after the other, with pauses."""
        while True:
            dependency, mode = self.rng.choice([*DEPENDENCIES]), self.rng.choice(FAULTS)
            async with self.api.dependencies.broken(dependency, mode):
                await asyncio.sleep(self.rng.uniform(0.3, 2))
            await asyncio.sleep(self.rng.uniform(0.5, 2))

    async def write(self) -> None:
        while True:
            async with self.engine.begin() as connection:
                await connection.execute(text(self.rng.choice(WRITES)), {"number": self.rng.randrange(10_000)})
            await asyncio.sleep(self.rng.uniform(0, 0.2))

    def other_files(self) -> int:
        return self.api.process.num_fds() - sum(self.api.connections().values())


@asynccontextmanager
async def in_background(*works: Any) -> AsyncIterator[None]:
    """Run coroutines for the duration of the block, and assert that none of them fails."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if not isinstance(result, asyncio.CancelledError)] == []


@pytest.mark.slow
async def test_random_faults_leave_no_trace(
    settings: Settings, sample_catalogue: AsyncEngine, search_bodies: SearchBodies
) -> None:
    await soak(settings, sample_catalogue, search_bodies, seconds=20)


@pytest.mark.slow
@pytest.mark.timeout(480)
async def test_minutes_of_random_faults_leave_no_trace(
    settings: Settings, sample_catalogue: AsyncEngine, search_bodies: SearchBodies
) -> None:
    memory = await soak(settings, sample_catalogue, search_bodies, seconds=240)
    memory.assert_flat()


async def soak(settings: Settings, engine: AsyncEngine, bodies: SearchBodies, *, seconds: float) -> MemorySamples:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
    log.warning("SOAK_SEED=%d", seed)
    async with (
        breakable_api(settings, **SHORT_TIMEOUTS) as api,
        worker_process(api.dependencies.settings, BACKGROUND_STATEMENT_SECONDS="5") as worker,
    ):
        running = Soak(api, engine, random.Random(seed))
        memory = await run(running, mixed_requests(bodies), seconds, psutil.Process(worker.process.pid))
        assert worker.process.returncode is None
        await eventually(lambda: is_in_sync(settings), within=RECOVERY_SECONDS)
    return memory


async def run(soak: Soak, requests: Iterator[Request], seconds: float, worker: psutil.Process) -> MemorySamples:
    api = soak.api
    async with load_client(api.url) as client:
        await client.run(requests, rate=RATE, seconds=3)
        threads = api.process.num_threads()
    files = soak.other_files()
    memory = MemorySamples([api.process, worker])
    async with load_client(api.url) as client:
        async with in_background(soak.inject_faults(), soak.write(), memory.collect()):
            outcomes = await client.run(requests, rate=RATE, seconds=seconds)
        await wait_for_recovery(client, requests)
    log.info("%d of %d succeeded", sum(outcome.succeeded for outcome in outcomes), len(outcomes))
    assert failures(outcomes) == []
    api.assert_bounded(threads)
    await eventually(lambda: soak.other_files() <= files + OTHER_FILES)
    return memory


async def wait_for_recovery(client: LoadClient, requests: Iterator[Request]) -> None:
    began = time.monotonic()
    await eventually(lambda: is_healthy(client, requests), within=RECOVERY_SECONDS)
    log.info("healthy after %.1f s", time.monotonic() - began)
