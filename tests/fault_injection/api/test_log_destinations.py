"""A log that nobody reads, that is full or that is gone stops nothing: requests, probes and shutdown go on."""

from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.full_pipe import full_pipe
from tests.support.http_client import http_client
from tests.support.processes import SMARTTRIP, environment, running_process

STOP_SECONDS = 20
REQUESTS = 50

DESTINATIONS = {
    "full pipe that nobody reads": ">{pipe} 2>&1",
    "pipe without a reader": "> >(true) 2>&1",
    "full disk": ">/dev/full 2>&1",
    "closed": ">&- 2>&-",
}
"""Redirections of the shell."""

PROCESSES = {"API": ("serve", 1), "API of two processes": ("serve", 2), "worker": ("worker", 1)}
QUICK = {("full pipe that nobody reads", "API"), ("full disk", "worker")}
CASES = [
    pytest.param(destination, process, marks=() if (destination, process) in QUICK else pytest.mark.slow)
    for destination in DESTINATIONS
    for process in PROCESSES
]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    with full_pipe(tmp_path / "log") as path:
        yield path


@pytest.mark.parametrize(("destination", "process"), CASES)
async def test_process_works_whatever_becomes_of_its_log(
    settings: Settings, database: AsyncEngine, pipe: Path, destination: str, process: str
) -> None:
    command, workers = PROCESSES[process]
    redirection = DESTINATIONS[destination].format(pipe=pipe)
    port = free_port()
    variables = {"PORT": str(port), "WORKER_PORT": str(port), "WORKERS": str(workers), "LOG_LEVEL": "debug"}
    shell = ("bash", "-c", f'exec "$@" {redirection}', "bash", SMARTTRIP, command)
    async with running_process(shell, environment(settings, **variables), port=port) as running:
        await running.wait_until_responding()
        async with http_client(running.url) as client:
            for _ in range(REQUESTS):
                assert (await client.get("/livez")).status_code == 200
            assert "smarttrip_log_lines_dropped_total" in (await client.get("/metrics")).text
        running.process.send_signal(SIGTERM)
        await eventually(lambda: running.process.returncode is not None, within=STOP_SECONDS)
        assert running.process.returncode in (0, -SIGTERM)
