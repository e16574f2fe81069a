"""The measured servers, each in as many processes as WORKERS says: one by default."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil
from starlette.applications import Starlette

from scripts.dev_stack import manager
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.processes import SMARTTRIP, running
from scripts.ports import is_free


@dataclass(frozen=True)
class Server:
    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time that all its processes have used so far."""
        return cpu_seconds(self.pid)

    def memory_mb(self) -> float:
        """Return the resident memory of its largest process."""
        return memory_mb(self.pid)


def measure_cpu(data: Path, servers: Mapping[str, Server] = MappingProxyType({})) -> Callable[[], dict[str, float]]:
    """Return a function that returns the CPU seconds that the folder's services and these servers have used so far."""
    pids = _pids(data, servers)
    return lambda: {name: cpu_seconds(pid) for name, pid in pids.items()}


def measure_memory(data: Path, servers: Mapping[str, Server]) -> dict[str, float]:
    """Return the resident memory, in MB, of the largest process of each of the folder's services and these servers."""
    return {name: memory_mb(pid) for name, pid in _pids(data, servers).items()}


def _pids(data: Path, servers: Mapping[str, Server]) -> dict[str, int]:
    pids = {state.service.name: state.pid for state in manager.status(data) if state.pid}
    return pids | {name: server.pid for name, server in servers.items()}


def without_idle(cpu: Callable[[], Mapping[str, float]], seconds: float) -> Callable[[], dict[str, float]]:
    """Return a reading of CPU time without what is used between requests, too, as measured for so many seconds now."""
    before = cpu()
    time.sleep(seconds)
    idle = {part: (used - before[part]) / seconds for part, used in cpu().items()}
    return lambda: {part: used - idle[part] * time.monotonic() for part, used in cpu().items()}


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and all its children have used so far, those that have ended included."""
    parent, *children = process_tree(pid)
    # The last two are those of ended children.
    return sum(parent.cpu_times()[:4]) + sum(sum(child.cpu_times()[:4]) for child in children)


def memory_mb(pid: int) -> float:
    """Return the resident memory of the largest of a process and its children."""
    return max(process.memory_info().rss for process in process_tree(pid)) / 1e6


def thread_cpu_seconds(pid: int, without: tuple[str, ...]) -> float:
    """Return the CPU time of the process's threads so far, without those whose names begin so."""
    seconds = 0.0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # It may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            if not (thread / "comm").read_text().startswith(without):
                seconds += int((thread / "schedstat").read_text().split()[0]) / 1e9
    return seconds


def process_tree(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


@contextmanager
def serving(command: Sequence[str], log: Path, env: dict[str, str]) -> Iterator[Server]:
    """Run a server for the length of a block; `{port}` in the command stands for a free port.

    Raises CliError if it does not listen in time.
    """
    port = free_port()
    with running([part.format(port=port) for part in command], log, {**os.environ, **env}) as child:
        child.wait_until(lambda: not is_free(port))
        yield Server(f"http://127.0.0.1:{port}", child.process.pid)


def api_server(env: dict[str, str], log: Path) -> AbstractContextManager[Server]:
    return serving((SMARTTRIP, "serve", "--port", "{port}"), log, env)


def worker_process(env: dict[str, str], log: Path) -> AbstractContextManager[Server]:
    """Run the worker; its address is that of its health checks and metrics."""
    return serving(("/usr/bin/env", "WORKER_PORT={port}", SMARTTRIP, "worker"), log, env)


def baseline_server(factory: Callable[[], Starlette], env: dict[str, str], log: Path) -> AbstractContextManager[Server]:
    """Run an application of `scripts.benchmark.baselines.servers`, made by the factory of that module."""
    command = (sys.executable, "-m", factory.__module__, factory.__name__, "{port}")
    return serving(command, log, env)
