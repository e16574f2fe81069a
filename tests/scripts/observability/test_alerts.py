"""Rules and alerts, checked by Prometheus's own promtool."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.observability.alerts import ALERT_FILES, ROOT, alerts
from scripts.observability.slo_rules import EFFECTS
from tests.scripts.observability.scenarios import FOLDER, SCENARIOS, unit_tests

CONFIGURATION = ROOT / "deploy/prometheus/prometheus.yml"
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"
TESTS = sorted(FOLDER.glob("*.test.yml"))

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus"
)


needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="needs amtool: apt-get install prometheus-alertmanager"
)


def promtool(*arguments: str | Path) -> None:
    completed = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr


@needs_promtool
def test_configuration_and_rules_are_valid() -> None:
    # It checks the rule files that the configuration names, too.
    promtool("check", "config", CONFIGURATION)


@needs_promtool
@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem)
def test_rules_compute_what_the_unit_test_expects(test: Path) -> None:
    promtool("test", "rules", test)


@needs_promtool
@pytest.mark.parametrize("rules", ALERT_FILES, ids=lambda path: path.name)
def test_alert_fires_in_its_scenario_in_time_and_no_other_does(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(unit_tests(rules)))
    promtool("test", "rules", path)


def test_every_alert_has_a_scenario() -> None:
    of_objectives = {f"{kind.capitalize()}BudgetBurn" for kind in EFFECTS}
    assert SCENARIOS.keys() | of_objectives == {alert.name for alert in alerts()}


def amtool(*arguments: str | Path) -> str:
    completed = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout.strip()


@needs_amtool
def test_alertmanager_configuration_is_valid() -> None:
    amtool("check-config", ALERTMANAGER)


@needs_amtool
@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_alert_reaches_the_receiver_of_its_severity(severity: str) -> None:
    option = f"--config.file={ALERTMANAGER}"
    assert amtool("config", "routes", "test", option, "alertname=IndexBehind", f"severity={severity}") == severity


def test_severities_are_those_with_a_receiver() -> None:
    receivers = {receiver["name"] for receiver in yaml.safe_load(ALERTMANAGER.read_text())["receivers"]}
    assert {severity for alert in alerts() for severity in alert.severities} == receivers


def test_inhibitions_name_alerts() -> None:
    rules = yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]
    matchers = [matcher for rule in rules for side in ("source_matchers", "target_matchers") for matcher in rule[side]]
    patterns = [pattern for matcher in matchers for pattern in re.findall(r'alertname=~?"(.*)"', matcher)]
    names = [alert.name for alert in alerts()]
    for part in "|".join(patterns).split("|"):
        assert any(re.fullmatch(part, name) for name in names), part
