"""The system of a drill: three Elasticsearch nodes, Postgres with a standby, Redis with Sentinels, the split system."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import psutil

import migrations
from core.business_date import business_date_provider
from core.configuration.settings import Settings, load_settings
from scripts import sample_data
from scripts.dev_stack import split
from scripts.dev_stack.elasticsearch.cluster import Cluster, running_cluster
from scripts.dev_stack.paths import open_folder
from scripts.dev_stack.postgres import POSTGRES
from scripts.dev_stack.wait import http_ok, wait_until
from scripts.drill.redis_servers import DURABLE, RedisServer, redis_server, sentinels
from scripts.drill.servers import Server, follow_synchronously, server, standby

REDIS_NAME = "drill"
REDIS_REPLICAS = 2
"""After a failover the new master has one, without which it would refuse events."""
SECONDS_TO_HEAL = 120
OLDEST_CHANGE = (
    "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float FROM smarttrip.outbox"
)
CAUGHT_UP_SECONDS = 2.0
"""Age of the oldest change that is not indexed yet, below which the workers keep up."""
OTHER_DISK = Path("/dev/shm")  # noqa: S108 -- another file system than that of the data
"""Where the data of the last node is: Elasticsearch's watermarks are those of a file system."""


@dataclass
class Topology:
    data: Path
    cluster: Cluster
    primary: Server
    standby: Server
    redis: RedisServer
    services: dict[str, str]
    """The settings that lead to the servers."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{split.read(self.data)[split.GATEWAY].port}"

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.data / split.GATEWAY / "pair.pem"))

    @property
    def settings(self) -> Settings:
        return load_settings(**{name.lower(): value for name, value in self.services.items()})

    def kill(self, name: str) -> None:
        """Kill a process of the split system."""
        process = self._process(name)
        process.kill()
        with suppress(psutil.Error):
            process.wait(30)

    @asynccontextmanager
    async def suspended(self, name: str) -> AsyncIterator[None]:
        """Suspend a process of the split system during the block."""
        process = self._process(name)
        process.send_signal(SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(SIGCONT)

    async def start_missing(self) -> None:
        """Start what was killed of the split system."""
        await asyncio.to_thread(split.start_members, self.data, self.services, die_with_parent=True)

    async def wait_until_whole(self) -> None:
        """Return once all processes are ready, all copies of the index are there and the workers have caught up."""
        await wait_until(self._is_ready, SECONDS_TO_HEAL, "all processes being ready")
        await self.cluster.wait_until_green()
        await wait_until(self._has_caught_up, SECONDS_TO_HEAL, "the workers to catch up")

    async def wait_until_indexed(self) -> None:
        """Return once no change waits. Nobody may write meanwhile."""

        async def is_empty() -> bool:
            return await self._oldest_change() == 0

        await wait_until(is_empty, SECONDS_TO_HEAL, "the last changes being indexed")

    async def execute(self, statement: str, *arguments: object) -> object:
        """Return the value of a statement on the primary."""
        connection = await asyncpg.connect(self.services["DATABASE_URL"])
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()

    def _process(self, name: str) -> psutil.Process:
        return psutil.Process(split.read(self.data)[name].pid)

    async def _is_ready(self) -> bool:
        found = split.read(self.data)
        ports = [found[member.name].port for member in split.members()]
        return all(await asyncio.gather(*(asyncio.to_thread(http_ok, port, "/readyz") for port in ports)))

    async def _has_caught_up(self) -> bool:
        return await self._oldest_change() < CAUGHT_UP_SECONDS

    async def _oldest_change(self) -> float:
        """Return the age in seconds of the oldest change that is not indexed, or 0."""
        return float(str(await self.execute(OLDEST_CHANGE)))


@asynccontextmanager
async def running_topology(departures: int) -> AsyncIterator[Topology]:
    """Run everything with a sample catalogue, and yield once it is ready. Raises: CliError."""
    async with AsyncExitStack() as stack:
        data = _folder(stack, None)
        last_data = _folder(stack, OTHER_DISK) / "node"
        primary = await stack.enter_async_context(server(POSTGRES))
        second = await stack.enter_async_context(standby(primary))
        await second.start()
        await follow_synchronously(primary)
        redis_folder = _folder(stack, None)
        first = await stack.enter_async_context(redis_server(redis_folder, *DURABLE))
        follower = ("--replicaof", "127.0.0.1", str(first.port))
        for _ in range(REDIS_REPLICAS):
            await stack.enter_async_context(redis_server(redis_folder, *DURABLE, *follower))
        watchers = await stack.enter_async_context(sentinels(redis_folder, first, REDIS_NAME))
        cluster = await stack.enter_async_context(running_cluster(data, last_data=last_data))
        services = {
            "DATABASE_URL": _url_of(primary, second),
            "REDIS_URL": f"redis+sentinel://{','.join(f'127.0.0.1:{each.port}' for each in watchers)}/{REDIS_NAME}/0",
            "ELASTICSEARCH_URL": cluster.url,
            "RATE_LIMIT_ENABLED": "false",
            "ACCESS_LOG_RATE": "0",
        }
        topology = Topology(data, cluster, primary, second, first, services)
        settings = topology.settings
        await asyncio.to_thread(migrations.upgrade, settings.database_url)
        await sample_data.seed(settings.database_url, departures, today=business_date_provider(settings)())
        stack.push_async_callback(asyncio.to_thread, split.down, data)
        await asyncio.to_thread(split.up, data, services, die_with_parent=True)
        await topology.wait_until_whole()
        yield topology


def _folder(stack: AsyncExitStack, parent: Path | None) -> Path:
    """Create a folder that ends with the stack, which the services' user may write to."""
    folder = open_folder(Path(stack.enter_context(TemporaryDirectory(dir=parent, ignore_cleanup_errors=True))))
    if os.geteuid() == 0:
        folder.chmod(0o777)
    return folder


def _url_of(*servers: Server) -> str:
    """Return a URL with the hosts of all, of which the one that accepts writes is used."""
    first = urlsplit(servers[0].url)
    credentials = first.netloc.rpartition("@")[0]
    hosts = ",".join(urlsplit(each.url).netloc.rpartition("@")[2] for each in servers)
    return f"postgresql://{credentials}@{hosts}{first.path}?target_session_attrs=read-write"
