"""The parent of several server processes while it ends."""

from multiprocessing import Pipe
from typing import cast

import pytest
from uvicorn.config import Config
from uvicorn.supervisors.multiprocess import Process

from app.server.worker_processes import WorkerProcesses


class EndedProcess:
    pid = None
    exitcode = 0
    parent_conn, _ = Pipe()


def test_parent_that_ends_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Process] = []

    def start(process: Process) -> None:
        started.append(process)

    monkeypatch.setattr(Process, "start", start)
    parent = WorkerProcesses(Config("app.main:app_from_environment", workers=2), [], end_seconds=1)
    parent.processes = [cast("Process", EndedProcess())]
    parent.should_exit.set()
    parent.keep_subprocess_alive()
    assert started == []
    parent.should_exit.clear()
    parent.keep_subprocess_alive()
    assert len(started) == 1
