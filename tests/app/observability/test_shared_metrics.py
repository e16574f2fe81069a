"""Files of metrics that somebody removes with other temporary files: metrics are lost, and nothing else."""

import os
import re
from pathlib import Path
from shutil import rmtree
from signal import SIGKILL

import psutil
import pytest

from app.observability.metrics import render_metrics
from app.observability.shared_metrics import DIRECTORY, mark_process_dead
from core.configuration.settings import Settings
from tests.support.api.serve_process import serve_process
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import START_SECONDS, RunningProcess

OWN = "smarttrip_http_requests_in_flight"


def test_process_reports_its_own_metrics_when_the_files_are_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(DIRECTORY, str(tmp_path / "removed"))
    mark_process_dead(1)
    assert OWN in render_metrics().decode()


async def server_processes(api: RunningProcess) -> set[int]:
    async with http_client(api.url) as client:
        return {int(pid) for pid in re.findall(r'pid="(\d+)"', (await client.get("/metrics")).text)}


def children(api: RunningProcess) -> set[int]:
    return {child.pid for child in psutil.Process(api.process.pid).children()}


@pytest.mark.slow
async def test_killed_process_is_replaced_when_the_files_are_gone(settings: Settings, tmp_path: Path) -> None:
    async with serve_process(settings, WORKERS="2", TMPDIR=str(tmp_path)) as api:

        async def have_both_started() -> bool:
            return len(await server_processes(api)) == 2

        await eventually(have_both_started, START_SECONDS)
        before = children(api)
        killed = min(await server_processes(api))
        (folder,) = tmp_path.glob("smarttrip-metrics-*")
        rmtree(folder)
        os.kill(killed, SIGKILL)
        await eventually(lambda: bool(children(api) - before), START_SECONDS)
        await api.wait_until_responding()
        async with http_client(api.url) as client:
            assert OWN in (await client.get("/metrics")).text
