"""Provoke the faults of the fault matrix on an API process and a worker of their own."""

import resource
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from sys import executable

import psutil

from core import clients
from core.configuration.settings import Settings
from indexer.index.admin import live_index
from schemas.redis_keys import GENERATION_SERVER
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.valkey import VALKEY
from scripts.drill.servers import server
from tests.fault_injection.fault_matrix import Fault
from tests.fault_injection.full_postgres import full_disk, small_postgres
from tests.support.dependency_proxies import DependencyProxies, dependency_proxies
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.jumping_clock import AHEAD, BACK
from tests.support.processes import SMARTTRIP, RunningProcess, environment, running_process

COMMANDS = ("serve", "worker")
ADMIN_KEY = "a-key-of-the-fault-matrix"

MODES = {"gone": Mode.CUT, "slow": Mode.SLOW, "stalled": Mode.STALL}
PROXIES = {"Postgres": "postgres", "Redis": "redis", "Elasticsearch": "elasticsearch"}

REDIRECTIONS = {"gone": ">&- 2>&-", "full": ">/dev/full 2>&1", "stalled": ">{pipe} 2>&1"}
FULL_DISK = 'mount -t tmpfs -o size=1m none "$TMPDIR"; cat /dev/zero 2>/dev/null >"$TMPDIR/filler"; exec "$@"'


@dataclass(frozen=True)
class System:
    """An API process and a worker that reach the servers through proxies."""

    settings: Settings
    """Settings that bypass the proxies."""
    proxies: DependencyProxies
    replica: FaultProxy
    api: RunningProcess
    worker: RunningProcess
    temporary: Sequence[Path]
    """Folders that the processes use for temporary files."""

    @property
    def processes(self) -> tuple[RunningProcess, RunningProcess]:
        return self.api, self.worker


def command_of(fault: Fault, pipe: Path, *arguments: str) -> Sequence[str]:
    """Return the command that runs `smarttrip` so that the fault can be provoked, or is there from the start."""
    component, kind = fault
    command = (SMARTTRIP, *arguments)
    if component == "log destination":
        return ("bash", "-c", f'exec "$@" {REDIRECTIONS[kind].format(pipe=pipe)}', "bash", *command)
    if fault == ("disk", "full"):
        return ("unshare", "--mount", "--map-root-user", "sh", "-c", FULL_DISK, "sh", *command)
    if component.startswith("clock"):
        return (executable, "-m", "tests.support.jumping_clock", *arguments)
    return command


@asynccontextmanager
async def running_system(settings: Settings, fault: Fault, folder: Path) -> AsyncIterator[System]:
    """Run the processes without waiting until they are ready. `folder` has a pipe `log` that nobody reads."""
    async with AsyncExitStack() as stack:
        settings = await stack.enter_async_context(own_servers(settings, fault))
        proxies = await stack.enter_async_context(dependency_proxies(settings))
        replica = await stack.enter_async_context(FaultProxy(settings.database_url))
        processes, folders = [], [folder / name for name in COMMANDS]
        for name, temporary in zip(COMMANDS, folders, strict=True):
            port = free_port()
            temporary.mkdir()
            env = environment(
                proxies.settings,
                PORT=str(port),
                WORKER_PORT=str(port),
                WORKERS="2" if fault[0] == "disk" else "1",
                TMPDIR=str(temporary),
                ADMIN_KEY=ADMIN_KEY,
                DRAIN_SECONDS="0",
                **({"DATABASE_REPLICA_URLS": replica.url.replace("+asyncpg", "")} if fault[0] == "replica" else {}),
            )
            command = command_of(fault, folder / "log", name)
            processes.append(await stack.enter_async_context(running_process(command, env, port=port)))
        api, worker = processes
        yield System(settings, proxies, replica, api, worker, folders)


@asynccontextmanager
async def own_servers(settings: Settings, fault: Fault) -> AsyncIterator[Settings]:
    """Run servers of its own for a fault that needs them; yield the settings that lead to them."""
    if fault == ("Postgres", "full"):
        async with small_postgres(settings) as own:
            yield own
    elif fault in SERVER_FAULTS:
        async with server(VALKEY) as redis:
            yield settings.model_copy(update={"redis_url": redis.url})
    else:
        yield settings


@asynccontextmanager
async def provoked(system: System, fault: Fault) -> AsyncIterator[None]:
    """Provoke the fault for the block."""
    component, kind = fault
    if fault in SERVER_FAULTS:
        async with SERVER_FAULTS[fault](system):
            yield
    elif component in PROXIES and kind in MODES:
        async with system.proxies.broken(PROXIES[component], MODES[kind]):
            yield
    elif component == "replica":
        await system.replica.switch(MODES[kind])
        yield
        await system.replica.switch(Mode.PASS)
    elif fault == ("disk", "gone"):
        for temporary in system.temporary:
            rmtree(temporary)
        yield
        for temporary in system.temporary:
            temporary.mkdir()
    elif fault == ("Elasticsearch", "full"):
        async with index_that_rejects_writes(system):
            yield
    elif component.startswith("clock"):
        process = system.api if component.endswith("API") else system.worker
        there, back = (AHEAD, BACK) if kind == "jumping ahead" else (BACK, AHEAD)
        process.process.send_signal(there)
        yield
        # It may have ended.
        with suppress(ProcessLookupError):
            process.process.send_signal(back)
    elif component.startswith("open files"):
        with no_more_files(system.api if component.endswith("API") else system.worker):
            yield
    else:
        # There from the start.
        yield


@contextmanager
def no_more_files(process: RunningProcess) -> Iterator[None]:
    running = psutil.Process(process.process.pid)
    limits = running.rlimit(resource.RLIMIT_NOFILE)
    running.rlimit(resource.RLIMIT_NOFILE, (running.num_fds(), limits[1]))
    yield
    # It may have ended.
    with suppress(psutil.NoSuchProcess):
        running.rlimit(resource.RLIMIT_NOFILE, limits)


@asynccontextmanager
async def index_that_rejects_writes(system: System) -> AsyncIterator[None]:
    """Set the block that Elasticsearch sets when its disk is nearly full."""
    settings = system.settings
    async with clients.elasticsearch(settings.elasticsearch_url, timeout=10) as es:
        name = await live_index(es, settings.search_alias)
        assert name
        await es.indices.put_settings(index=name, settings={BLOCK: True})
        yield
        await es.indices.put_settings(index=name, settings={BLOCK: None})


BLOCK = "index.blocks.read_only_allow_delete"


@asynccontextmanager
async def redis_without_memory(system: System) -> AsyncIterator[None]:
    async with clients.redis(system.settings.redis_url) as redis:
        await redis.config_set("maxmemory", "1")
        yield
        await redis.config_set("maxmemory", "0")


@asynccontextmanager
async def redis_that_goes_back(system: System) -> AsyncIterator[None]:
    """Be gone, and return with what was there before, as another process."""
    async with clients.redis(system.settings.redis_url) as redis:
        before = {key: (max(0, await redis.pttl(key)), await redis.dump(key)) async for key in redis.scan_iter()}
        async with system.proxies.broken("redis", Mode.CUT):
            yield
            await redis.flushdb()
            for key, (milliseconds, value) in before.items():
                await redis.restore(key, milliseconds, value)
            await redis.set(GENERATION_SERVER, "another")


SERVER_FAULTS: dict[Fault, Callable[[System], AbstractAsyncContextManager[None]]] = {
    ("Postgres", "full"): lambda system: full_disk(system.settings),
    ("Redis", "full"): redis_without_memory,
    ("Redis", "older state"): redis_that_goes_back,
}
"""Faults for which a server of its own is started."""
