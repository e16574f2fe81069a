"""Rules and alerts, checked by Prometheus's own promtool."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.documents import ROOT

RULES = sorted((ROOT / "deploy/prometheus").rglob("*.rules.yml"))
TESTS = sorted(Path(__file__).with_name("alerts").glob("*.yml"))

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus")


def promtool(*arguments: str | Path) -> None:
    completed = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.name)
def test_rules_are_valid(rules: Path) -> None:
    promtool("check", "rules", rules)


@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(test: Path) -> None:
    promtool("test", "rules", test)
