"""Real workers: as a task of the tests' own process, or as a process that signals reach."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.settings import Settings
from indexer import worker
from indexer.index import locks
from scripts.dev_stack.ports import free_port
from tests.support.api.serve_process import answers, environment
from tests.support.eventually import eventually

PROGRAM = """
import sys
from indexer import worker
from indexer.feed import batch
from indexer.index import locks
from core.settings import load_settings
batch.STALLED_AFTER = locks.STALLED_AFTER = float(sys.argv[1])
worker.run(load_settings())
"""
SOON = 30.0


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process, stopped as SIGTERM stops it."""
    stop = asyncio.Event()
    task = asyncio.create_task(worker.work(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, SOON)


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def process(settings: Settings, *, stalled_after: float = locks.STALLED_AFTER) -> AsyncIterator[Process]:
    """A worker of its own, once it lives; killed at the end."""
    port = str(free_port())
    direct = settings.direct_url.replace("+asyncpg", "")
    running = Process(
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            str(stalled_after),
            env=environment(settings, DATABASE_DIRECT_URL=direct, WORKER_PORT=port),
            stdout=asyncio.subprocess.DEVNULL,
        )
    )
    try:
        await eventually(lambda: answers(f"http://127.0.0.1:{port}/livez"), SOON)
        yield running
    finally:
        await running.kill()
