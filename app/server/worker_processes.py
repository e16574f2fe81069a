"""The parent of several server processes: it replaces those that end or stall, and says so."""

import time
from socket import socket

import structlog
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.observability.shared_metrics import mark_process_dead

log = structlog.get_logger()

START_SECONDS = 60
"""How long a process may take to respond to its parent for the first time: the interpreter has started."""

STALL_SECONDS = 10
"""How long a process may not respond after that until it is replaced; its clients wait meanwhile. A thread of its own
responds while the application is imported, too."""

CHECK_SECONDS = 0.5
"""Time between two checks of uvicorn's."""


class WorkerProcesses(Multiprocess):
    def __init__(self, config: Config, sockets: list[socket], *, end_seconds: float) -> None:
        """Kill processes that still run `end_seconds` after SIGTERM."""
        super().__init__(config, sockets)
        self._end_seconds = end_seconds
        self._interrupted = False
        self._known: dict[Process, float] = {}
        """Processes that may run, and after how many seconds of checks without a response each counts as stalled.

        Time in which the parent does not check does not count: it may have been stopped, too.
        """

    def run(self) -> None:
        """Run until a signal ends all processes. Raises: KeyboardInterrupt, if it was SIGINT."""
        super().run()
        if self._interrupted:
            raise KeyboardInterrupt

    def handle_int(self) -> None:
        self._interrupted = True
        super().handle_int()

    def keep_subprocess_alive(self) -> None:
        """Replace processes that have ended or stalled; log them, and take their gauges out of the shared metrics.

        Unlike uvicorn's own, it never waits for a response: signals and the other processes would wait, too.
        """
        if self.should_exit.is_set():
            # They end because they are asked to.
            return
        for process in self.processes:
            if self._is_stalled(process):
                log.warning("server_process_stalled", pid=process.pid)
                process.kill()
                process.join()
        self._report_ended()
        if any(process.exitcode == STARTUP_FAILURE for process in self.processes):
            # Another one would fail in the same way.
            self.should_exit.set()
        else:
            self.processes = [self._running(process) for process in self.processes]

    def join_all(self) -> None:
        """Wait for all processes to end; kill those that do not."""
        end = time.monotonic() + self._end_seconds
        for process in self.processes:
            process.process.join(max(0.0, end - time.monotonic()))
            if process.exitcode is None:
                log.warning("server_process_stalled", pid=process.pid)
                process.kill()
        super().join_all()

    def _is_stalled(self, process: Process) -> bool:
        left = self._known.get(process, START_SECONDS) - CHECK_SECONDS
        self._known[process] = STALL_SECONDS if _has_responded(process) else left
        return process.exitcode is None and self._known[process] < 0

    def _report_ended(self) -> None:
        for process in [process for process in self._known if process.exitcode is not None]:
            del self._known[process]
            log.warning("server_process_ended", pid=process.pid, exit_code=process.exitcode)
            if process.pid is not None:
                mark_process_dead(process.pid)

    def _running(self, process: Process) -> Process:
        """Return the process, or a new one in its place if it has ended."""
        if process.exitcode is None:
            return process
        started = Process(self.config, self.sockets)
        started.start()
        return started


def _has_responded(process: Process) -> bool:
    """Return whether the process has responded since the last call, and ask it again."""
    responded = False
    try:
        while process.parent_conn.poll():
            process.parent_conn.recv()
            responded = True
        process.parent_conn.send(b"ping")
    except (OSError, EOFError):
        # It has ended.
        return False
    return responded
