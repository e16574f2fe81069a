"""A serving process whose ways to its dependencies can be broken."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from urllib.parse import urlsplit

import psutil

from app.backends.factory import ADMIN_CONNECTIONS
from core.settings import Settings
from core.timeouts import DEFAULTS
from tests.support.api.serve_process import SMARTTRIP, Serving, answers, environment, serve_process
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode

log = logging.getLogger(__name__)

LAST_WORDS = 8_000
"""Characters."""

DEPENDENCIES = {"elasticsearch": "elasticsearch_url", "redis": "redis_url", "postgres": "database_url"}

CONNECTIONS = {
    "elasticsearch": DEFAULTS.elasticsearch_connections + ADMIN_CONNECTIONS,
    # One more hears of changes.
    "redis": DEFAULTS.redis_connections + 1,
    # Cancelling a statement takes one of its own.
    "postgres": 2 * DEFAULTS.postgres_connections,
}
"""The most that a process has of each."""


@dataclass(frozen=True)
class System:
    serving: Serving
    ways: Mapping[str, FaultProxy]
    """By the names of the dependencies."""

    @property
    def url(self) -> str:
        return self.serving.url

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.serving.process.pid)

    @asynccontextmanager
    async def broken(self, dependency: str, mode: Mode) -> AsyncIterator[None]:
        await self.ways[dependency].switch(mode)
        try:
            yield
        finally:
            await self.ways[dependency].switch(Mode.PASS)

    def connections(self) -> Mapping[str, int]:
        """Held to each dependency, the half-closed ones too."""
        names = {urlsplit(way.url).port: name for name, way in self.ways.items()}
        ports = (connection.raddr.port for connection in self.process.net_connections("tcp") if connection.raddr)
        return Counter(names[port] for port in ports if port in names)


@asynccontextmanager
async def system(settings: Settings, *, down: Sequence[str] = (), **environment: str) -> AsyncIterator[System]:
    """Once it is ready."""
    async with AsyncExitStack() as stack:
        ways = {
            name: await stack.enter_async_context(FaultProxy(getattr(settings, setting)))
            for name, setting in DEPENDENCIES.items()
        }
        for name in down:
            await ways[name].switch(Mode.CUT)
        through = {setting: ways[name].url for name, setting in DEPENDENCIES.items()}
        environment["DRAIN_SECONDS"] = "0"
        serving = await stack.enter_async_context(
            serve_process(settings.model_copy(update=through), port=None, **environment)
        )
        await eventually(lambda: answers(f"{serving.url}/readyz"), within=20)
        yield System(serving, ways)


@asynccontextmanager
async def worker_process(settings: Settings, **others: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Killed at the end if it still runs; if it doesn't, its last words are logged."""
    with TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            SMARTTRIP, "worker", env=environment(settings, **others), stderr=said
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            elif process.returncode:
                said.seek(0)
                log.error("worker ended with %d: %s", process.returncode, said.read().decode()[-LAST_WORDS:])
            await process.wait()
