"""The servers that are measured, each in as many processes of its own as WORKERS says: one by default."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

import psutil

from scripts.dev_stack import processes
from scripts.dev_stack.ports import free_port, is_free
from scripts.dev_stack.wait import until
from scripts.errors import CliError

SECONDS_TO_START = 30


@dataclass(frozen=True)
class Server:
    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in family(self.pid))

    def memory_mb(self) -> float:
        """That its largest process holds."""
        return max(process.memory_info().rss for process in family(self.pid)) / 1e6


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


@contextmanager
def serving(command: Sequence[str], log: Path, env: dict[str, str]) -> Iterator[Server]:
    """`{port}` in the command stands for a free port."""
    port = free_port()
    process = processes.start(
        [part.format(port=port) for part in command], log, env={**os.environ, **env}, ends_with_us=SIGTERM
    )
    try:
        until(lambda: process.poll() is not None or not is_free(port), SECONDS_TO_START)
        if process.poll() is not None or is_free(port):
            raise CliError(f"A server did not start; its last words are in {log}.")
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        processes.stop({process.pid: SIGTERM})
        process.wait()


def api(env: dict[str, str], log: Path) -> AbstractContextManager[Server]:
    command = str(Path(sys.executable).with_name("smarttrip"))
    return serving((command, "serve", "--port", "{port}"), log, env)


def compared(factory: str, env: dict[str, str], log: Path) -> AbstractContextManager[Server]:
    """One of `scripts.benchmark.baseline_servers`."""
    command = (sys.executable, "-m", "scripts.benchmark.baseline_servers", factory, "{port}")
    return serving(command, log, env)
