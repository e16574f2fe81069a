"""Run a process of the project for the duration of a block."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from tempfile import TemporaryFile
from typing import IO

import httpx2

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.log_secrets import find_secrets

log = logging.getLogger(__name__)

SMARTTRIP = str(Path(sys.executable).with_name("smarttrip"))
WORKER = (SMARTTRIP, "worker")
OWN_PROGRAMS = (SMARTTRIP, sys.executable)
START_SECONDS = 100
"""Time after which a process that does not respond fails its test: less than pytest's own limit."""
PATIENT = {
    "REQUEST_SECONDS": "100",
    "POSTGRES_POOL_SECONDS": "90",
    "POSTGRES_CONNECT_SECONDS": "90",
    "POSTGRES_STATEMENT_SECONDS": "90",
    "REDIS_SECONDS": "90",
    "ELASTICSEARCH_SECONDS": "90",
}
"""Variables under which servers that work do not count as failed, however busy the machine is."""
STOP_SECONDS = 30
"""Time after `stop_signal` after which a process is killed."""
LOGGED_BYTES = 8_000
"""Characters of the end of its output that is logged when a process fails."""


@dataclass(frozen=True)
class RunningProcess:
    process: asyncio.subprocess.Process
    port: int
    """Port on which it serves HTTP."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def wait_until_responding(self, path: str = "/livez") -> None:
        """Wait until a GET of `path` succeeds. Raises: AssertionError if the process ends, or after START_SECONDS."""

        async def responding() -> bool:
            assert self.process.returncode is None, f"the process ended with {self.process.returncode}"
            return await responds(f"{self.url}{path}")

        await eventually(responding, within=START_SECONDS)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


def environment(settings: Settings, **variables: str) -> dict[str, str]:
    """Return environment variables that point a process to the services of `settings`; `variables` override them."""
    return {
        **os.environ,
        "DATABASE_URL": settings.database_url.replace("+asyncpg", ""),
        "DATABASE_DIRECT_URL": settings.direct_url.replace("+asyncpg", ""),
        "REDIS_URL": settings.redis_url,
        "REDIS_PREFIX": settings.redis_prefix,
        "ELASTICSEARCH_URL": settings.elasticsearch_url,
        "ELASTICSEARCH_ALIAS": settings.elasticsearch_alias,
        "TODAY": str(settings.today or ""),
        "RATE_LIMIT_ENABLED": "false",
        **variables,
    }


@asynccontextmanager
async def running_process(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    port: int,
    output: Path | None = None,
    stop_signal: Signals = SIGKILL,
) -> AsyncIterator[RunningProcess]:
    """Start `command`, and end it with `stop_signal` unless it has ended by itself.

    Its output is appended to the file `output`; without one, the end of it is logged if the process fails. If it is one
    of our own, the output may contain neither secrets of its variables nor addresses of persons.
    """
    with _output_file(output) as file:
        process = await asyncio.create_subprocess_exec(*command, env=env, stdout=file, stderr=file)
        try:
            yield RunningProcess(process, port)
        finally:
            if process.returncode is None:
                process.send_signal(stop_signal)
            elif process.returncode > 0 and not output:
                log.error("%s ended with %d: %s", command, process.returncode, _end_of(file))
            await _wait(process)
        if command[0] in OWN_PROGRAMS:
            assert not find_secrets(_content(file), env)


async def _wait(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _output_file(path: Path | None) -> IO[bytes]:
    return path.open("a+b") if path else TemporaryFile()


def _end_of(file: IO[bytes]) -> str:
    return _content(file)[-LOGGED_BYTES:]


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


@asynccontextmanager
async def worker_process(
    settings: Settings, *, command: Sequence[str] = WORKER, **variables: str
) -> AsyncIterator[RunningProcess]:
    """Run a worker, which is not necessarily ready or even alive yet."""
    port = free_port()
    env = environment(settings, **{"WORKER_PORT": str(port), **variables})
    async with running_process(command, env, port=port) as process:
        yield process


async def responds(url: str) -> bool:
    """Return whether a GET of `url` succeeds with status 200."""
    async with http_client(url) as client:
        try:
            return (await client.get(url)).status_code == 200
        except httpx2.TransportError:
            return False
