"""`smarttrip stack up --observe`, with the Prometheus and the Alertmanager of the machine."""

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from scripts.dev_stack.alertmanager import PROGRAMS
from scripts.dev_stack.ports import free_port
from scripts.dev_stack.wait import until
from tests.support.command import SMARTTRIP, environment, smarttrip

pytestmark = pytest.mark.slow


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as response:
        return json.load(response)["data"]


@pytest.mark.skipif(
    not (shutil.which("prometheus") and any(map(shutil.which, PROGRAMS))),
    reason="needs Prometheus: apt-get install prometheus prometheus-alertmanager",
)
def test_prometheus_has_the_rules_and_knows_alertmanager(folder: Path) -> None:
    ports = {"PORT": str(free_port()), "WORKER_PORT": str(free_port())}
    up = smarttrip("stack", "up", "--observe", "--data", str(folder), env={**environment(), **ports})
    assert up.returncode == 0, up.stderr
    urls = {line.split()[0]: line.split()[-1] for line in up.stdout.splitlines()}
    rules = read(f"{urls['prometheus']}/api/v1/rules")["groups"]
    assert {"slo-alerts", "index"} <= {group["name"] for group in rules}
    assert until(lambda: bool(read(f"{urls['prometheus']}/api/v1/alertmanagers")["activeAlertmanagers"]), 20)
    targets = read(f"{urls['prometheus']}/api/v1/targets")["activeTargets"]
    assert {target["labels"]["instance"] for target in targets} == {f"127.0.0.1:{port}" for port in ports.values()}
    smarttrip("stack", "down", "--data", str(folder))
    assert "prometheus" not in smarttrip("stack", "status", "--data", str(folder)).stdout


def test_missing_programs_are_named_and_left_out(folder: Path) -> None:
    env = {**environment(), "PATH": str(Path(SMARTTRIP).parent)}
    up = smarttrip("stack", "up", "--observe", "--data", str(folder), env=env)
    assert up.returncode == 0, up.stderr
    assert "prometheus is left out" in up.stderr
    assert "apt-get install" in up.stderr
    assert "prometheus" not in up.stdout
