"""Logs of an API of several processes: JSON of every one of them, whatever happens to it."""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL, SIGSTOP, SIGTERM
from typing import Any

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from core.configuration.settings import Settings
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.http_client import http_client
from tests.support.processes import SMARTTRIP, START_SECONDS, RunningProcess, environment, running_process

pytestmark = pytest.mark.slow

REQUESTS = 20


class LoggingApi:
    def __init__(self, running: RunningProcess, log: Path) -> None:
        self.url = running.url
        self.parent = running.process
        self._log = log

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the lines so far, each of which has to be JSON, or those of an event."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if event in (None, line["event"])]

    async def children(self) -> set[int]:
        async with http_client(self.url) as client:
            exported = (await client.get("/metrics")).text
        return {int(pid) for pid in re.findall(r'pid="(\d+)"', exported)}

    async def has_two_children(self) -> bool:
        try:
            return len(await self.children()) == 2
        except httpx2.TransportError:
            return False


@pytest.fixture
async def api(settings: Settings, database: AsyncEngine, tmp_path: Path, level: str) -> AsyncIterator[LoggingApi]:
    port, log = free_port(), tmp_path / "log"
    env = environment(settings, WORKERS="2", LOG_LEVEL=level, ACCESS_LOG_RATE="1000", TMPDIR=str(tmp_path))
    command = (SMARTTRIP, "serve", "--port", str(port))
    async with running_process(command, env, port=port, output=log, stop_signal=SIGTERM) as running:
        await running.wait_until_responding()
        api = LoggingApi(running, log)
        await eventually(api.has_two_children, within=START_SECONDS)
        yield api


@pytest.mark.parametrize("level", ["info"])
async def test_children_log_requests_as_json_under_their_ids(api: LoggingApi) -> None:
    sent = {f"request-{number}" for number in range(REQUESTS)}
    for request_id in sent:
        async with http_client(api.url) as client:
            await client.get("/api/nothing", headers={"X-Request-ID": request_id})
    await eventually(lambda: sent <= {line.get("request_id") for line in api.lines("request")})
    # The server's own lines, too.
    assert any(line.get("logger") == "uvicorn.error" for line in api.lines())
    assert all(line["level"] and line["timestamp"] for line in api.lines())


@pytest.mark.parametrize("level", ["info"])
async def test_killed_child_is_one_line(api: LoggingApi) -> None:
    (killed, *_) = await api.children()
    os.kill(killed, SIGKILL)
    await eventually(lambda: api.lines("server_process_ended") != [], within=START_SECONDS)
    (line,) = api.lines("server_process_ended")
    assert (line["pid"], line["exit_code"], line["level"]) == (killed, -SIGKILL, "warning")


@pytest.mark.parametrize("level", ["info"])
async def test_stalled_child_is_replaced(api: LoggingApi) -> None:
    (stalled, other) = await api.children()
    os.kill(stalled, SIGSTOP)
    await eventually(lambda: api.lines("server_process_ended") != [], within=START_SECONDS)
    await eventually(api.has_two_children, within=START_SECONDS)
    assert [line["pid"] for line in api.lines("server_process_stalled")] == [stalled]
    children = await api.children()
    assert stalled not in children
    assert other in children


@pytest.mark.parametrize("level", ["info"])
async def test_stalled_child_keeps_no_parent_from_ending(api: LoggingApi) -> None:
    (stalled, _) = await api.children()
    os.kill(stalled, SIGSTOP)
    api.parent.send_signal(SIGTERM)
    await eventually(lambda: api.parent.returncode is not None, within=START_SECONDS)
    assert not Path(f"/proc/{stalled}").exists()


@pytest.mark.parametrize("level", ["warning"])
async def test_level_applies_to_children(api: LoggingApi) -> None:
    async with http_client(api.url) as client:
        await client.get("/api/nothing")
    (killed, *_) = await api.children()
    os.kill(killed, SIGKILL)
    await eventually(lambda: api.lines("server_process_ended") != [], within=START_SECONDS)
    assert {line["level"] for line in api.lines()} <= {"warning", "error"}
