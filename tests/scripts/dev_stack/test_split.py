"""`smarttrip stack up --topology split`: one role each, two workers, and the gateway before them."""

import json
import os
import signal
from pathlib import Path

import httpx2
import pytest

from scripts.dev_stack import split
from tests.support.command import smarttrip
from tests.support.gateway import needs_nginx

pytestmark = [needs_nginx, pytest.mark.slow, pytest.mark.timeout(600)]


def status(folder: Path) -> dict[str, dict[str, str]]:
    shown = smarttrip("stack", "status", "--json", "--data", str(folder))
    return {row["service"]: row for row in json.loads(shown.stdout)}


def start(folder: Path) -> None:
    up = smarttrip("stack", "up", "--topology", "split", "--data", str(folder), timeout=400)
    assert up.returncode == 0, up.stderr


def test_split_system_starts_serves_and_stops(folder: Path) -> None:
    start(folder)
    shown = status(folder)
    assert {"worker-1", "worker-2", "recommendations-1", "recommendations-2", "gateway"} <= shown.keys()
    assert {row["state"] for row in shown.values()} == {"answers"}
    with httpx2.Client(base_url=shown["gateway"]["url"], verify=False) as client:
        assert client.post("/api/v2/recommendations", json={}).json()["success"] is True
        assert [client.get(path).status_code for path in ("/api/tags", "/api/events/types")] == [200, 200]
        assert client.get("/api/admin/index").status_code == 401

    os.kill(split.read(folder)["resources-1"].pid, signal.SIGKILL)
    assert status(folder)["resources-1"]["state"] == "down"
    start(folder)
    assert status(folder)["resources-1"]["state"] == "answers"

    members = split.read(folder)
    smarttrip("stack", "down", "--data", str(folder))
    assert not any(split.runs(folder, process) for process in members.values())
    assert "gateway" not in status(folder)
