"""An API process that reaches its dependencies through fault proxies."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from app.backends.factory import ADMIN_CONNECTIONS
from core.concurrency.resource_limits import DEFAULTS
from core.configuration.settings import Settings
from tests.support.api.serve_process import serve_process
from tests.support.dependency_proxies import DependencyProxies, dependency_proxies
from tests.support.eventually import eventually
from tests.support.processes import RunningProcess, responds

CONNECTIONS = {
    "elasticsearch": DEFAULTS.elasticsearch_connections + ADMIN_CONNECTIONS,
    # One more subscribes to invalidations.
    "redis": DEFAULTS.redis_connections + 1,
    # Cancelling a statement takes a connection of its own.
    "postgres": 2 * DEFAULTS.postgres_connections,
}
"""Maximum number of connections that a process opens to each dependency."""


@dataclass(frozen=True)
class BreakableApi:
    serving: RunningProcess
    dependencies: DependencyProxies

    @property
    def url(self) -> str:
        return self.serving.url

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.serving.process.pid)

    def connections(self) -> Mapping[str, int]:
        """Count the sockets to each dependency, half-closed ones included."""
        names = {urlsplit(proxy.url).port: name for name, proxy in self.dependencies.proxies.items()}
        ports = (connection.raddr.port for connection in self.process.net_connections("tcp") if connection.raddr)
        return Counter(names[port] for port in ports if port in names)

    def assert_bounded(self, threads: int) -> None:
        """Assert that connections are within CONNECTIONS, and that there is at most one thread more than `threads`."""
        assert all(self.connections()[name] <= most for name, most in CONNECTIONS.items())
        assert self.process.num_threads() <= threads + 1


@asynccontextmanager
async def breakable_api(settings: Settings, **variables: str) -> AsyncIterator[BreakableApi]:
    """Run the API once it is ready; `variables` are added to its environment."""
    async with (
        dependency_proxies(settings) as dependencies,
        serve_process(dependencies.settings, port=None, **{"DRAIN_SECONDS": "0", **variables}) as serving,
    ):
        await eventually(lambda: responds(f"{serving.url}/readyz"), within=20)
        yield BreakableApi(serving, dependencies)
