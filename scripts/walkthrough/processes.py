"""The API and the worker, as processes that end with the tour."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM

from scripts.dev_stack import processes
from scripts.dev_stack.wait import http_answers, until
from scripts.errors import CliError

SMARTTRIP = str(Path(sys.executable).with_name("smarttrip"))
SECONDS_TO_START = 30


class System:
    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """`smarttrip NAME`, with the environment that we have."""
        self._running[name] = processes.start([SMARTTRIP, name], self._log(name), ends_with_us=SIGTERM)

    def stop(self) -> None:
        processes.stop({process.pid: SIGTERM for process in self._running.values()})

    def check(self) -> None:
        """Raises CommandError where one of them has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise CliError(f"`smarttrip {name}` has ended; its last words are in {self._log(name)}.")

    def wait_until_ready(self, port: int) -> None:
        def settled() -> bool:
            self.check()
            return http_answers(port, "/readyz")

        if not until(settled, SECONDS_TO_START):
            raise CliError(f"The API is not ready after {SECONDS_TO_START} s; its log is {self._log('serve')}.")

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


@contextmanager
def running_system(logs: Path, port: int) -> Iterator[System]:
    system = System(logs)
    try:
        system.start("serve")
        system.start("worker")
        system.wait_until_ready(port)
        yield system
    finally:
        system.stop()
