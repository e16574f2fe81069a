"""Run a worker as a task of the test's process, or as a process that can be killed and suspended."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.configuration.settings import Settings
from indexer import worker
from tests.support.processes import WORKER, RunningProcess, worker_process

WORKER_WITH_STALL_LIMIT = """
import sys
from indexer import worker
from indexer.index.outbox import BatchLimits
from core.configuration.settings import load_settings
worker.run(load_settings(), BatchLimits(stalled_after=float(sys.argv[1])))
"""
SOON = 60.0


@asynccontextmanager
async def worker_task(settings: Settings) -> AsyncIterator[None]:
    """Run a worker in this process, and stop it as SIGTERM does."""
    stop = asyncio.Event()
    task = asyncio.create_task(worker.work(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, SOON)


@asynccontextmanager
async def live_worker_process(
    settings: Settings, *, stalled_after: float | None = None
) -> AsyncIterator[RunningProcess]:
    """Run a worker process once it is alive.

    `stalled_after` replaces the seconds after which a batch that made no progress has its departures re-read.
    """
    command = WORKER if stalled_after is None else (sys.executable, "-c", WORKER_WITH_STALL_LIMIT, str(stalled_after))
    async with worker_process(settings, command=command) as running:
        await running.wait_until_responding()
        yield running
