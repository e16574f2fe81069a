"""Visitors, writers and faults at random, for a while: nothing of it stays behind."""

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

from core.settings import Settings
from tests.fault_injection.api.constant_rate_client import Call, Visitors, calls, visitors
from tests.fault_injection.api.serving_process import CONNECTIONS, DEPENDENCIES, System, system, worker_process
from tests.fault_injection.api.test_faults import FAULTS, HURRY, all_is_well
from tests.support.eventually import eventually
from tests.support.sync import is_in_sync

log = logging.getLogger(__name__)

RATE = 50
SECONDS_TO_RECOVER = 30
OTHER_FILES = 5
"""Open ones that may come and go, apart from connections to dependencies."""
GROWTH = 1.15
"""Of memory, between the second and the last fourth of a soak."""
MEGABYTE = 1024 * 1024

WRITES = (
    "UPDATE trip_occurrences SET spots_left = 1 + (:number % 20) WHERE id % 50 = :number % 50",
    "UPDATE trip_occurrences SET price_override = 1000 + :number % 5000 WHERE id % 97 = :number % 97",
    "UPDATE trip_templates SET title = 'Journey ' || :number WHERE id % 31 = :number % 31",
    "UPDATE companies SET name = 'Company ' || id || ' of ' || :number WHERE id % 5 = :number % 5",
)


@dataclass
class Memory:
    """What processes hold, second by second, in megabytes."""

    processes: Sequence[psutil.Process]
    seen: list[Sequence[float]] = field(default_factory=list)

    async def watch(self) -> None:
        while True:
            self.seen.append([process.memory_info().rss / MEGABYTE for process in self.processes])
            await asyncio.sleep(1)

    def assert_flat(self) -> None:
        quarter = len(self.seen) // 4
        for name, seen in zip(("API", "worker"), zip(*self.seen, strict=True), strict=True):
            early, late = median(seen[quarter : 2 * quarter]), median(seen[-quarter:])
            log.info("%s: %.0f MB in the second fourth, %.0f MB in the last", name, early, late)
            assert late < GROWTH * early


@dataclass(frozen=True)
class Soak:
    running: System
    engine: AsyncEngine
    rng: random.Random

    async def break_things(self) -> None:
        """One at a time, most of the time."""
        while True:
            dependency, mode = self.rng.choice([*DEPENDENCIES]), self.rng.choice(FAULTS)
            async with self.running.broken(dependency, mode):
                await asyncio.sleep(self.rng.uniform(0.3, 2))
            await asyncio.sleep(self.rng.uniform(0.5, 2))

    async def write(self) -> None:
        while True:
            async with self.engine.begin() as connection:
                await connection.execute(text(self.rng.choice(WRITES)), {"number": self.rng.randrange(10_000)})
            await asyncio.sleep(self.rng.uniform(0, 0.2))

    def other_files(self) -> int:
        return self.running.process.num_fds() - sum(self.running.connections().values())


@asynccontextmanager
async def meanwhile(*works: Any) -> AsyncIterator[None]:
    """What goes on while the block lasts; it must not fail."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [end for end in ended if not isinstance(end, asyncio.CancelledError)] == []


async def test_random_faults_leave_nothing_behind(
    settings: Settings, filled: AsyncEngine, wishes: Sequence[dict[str, Any]]
) -> None:
    await soaked(settings, filled, wishes, seconds=20)


@pytest.mark.slow
@pytest.mark.timeout(480)
async def test_minutes_of_random_faults_leave_nothing_behind(
    settings: Settings, filled: AsyncEngine, wishes: Sequence[dict[str, Any]]
) -> None:
    memory = await soaked(settings, filled, wishes, seconds=240)
    memory.assert_flat()


async def soaked(
    settings: Settings, engine: AsyncEngine, wishes: Sequence[dict[str, Any]], *, seconds: float
) -> Memory:
    seed = int(os.environ.get("SOAK_SEED") or random.randrange(2**32))
    log.warning("SOAK_SEED=%d", seed)
    async with system(settings, **HURRY) as running:
        through = settings.model_copy(update={DEPENDENCIES[name]: way.url for name, way in running.ways.items()})
        async with worker_process(through, BACKGROUND_STATEMENT_SECONDS="5") as worker:
            soak = Soak(running, engine, random.Random(seed))
            memory = await suffer(soak, calls(wishes), seconds, psutil.Process(worker.pid))
            assert worker.returncode is None
            await eventually(lambda: is_in_sync(settings), within=SECONDS_TO_RECOVER)
    return memory


async def suffer(soak: Soak, visits: Iterator[Call], seconds: float, worker: psutil.Process) -> Memory:
    running = soak.running
    async with visitors(running.url) as crowd:
        await crowd.come(visits, rate=RATE, seconds=3)
        threads = running.process.num_threads()
    files = soak.other_files()
    memory = Memory([running.process, worker])
    async with visitors(running.url) as crowd:
        async with meanwhile(soak.break_things(), soak.write(), memory.watch()):
            outcomes = await crowd.come(visits, rate=RATE, seconds=seconds)
        await recover(crowd, visits)
    log.info("%d of %d answered", sum(outcome.answered for outcome in outcomes), len(outcomes))
    assert [outcome for outcome in outcomes if not (outcome.answered or outcome.refused)] == []
    assert all(running.connections()[name] <= most for name, most in CONNECTIONS.items())
    assert running.process.num_threads() <= threads + 1
    await eventually(lambda: soak.other_files() <= files + OTHER_FILES)
    return memory


async def recover(crowd: Visitors, visits: Iterator[Call]) -> None:
    began = time.monotonic()
    await eventually(lambda: all_is_well(crowd, visits), within=SECONDS_TO_RECOVER)
    log.info("all was well %.1f s after", time.monotonic() - began)
