"""Unit tests for promtool: one for each scenario of an alert, made from the series of a healthy installation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).with_name("alerts")
HEALTHY: dict[str, Any] = yaml.safe_load((FOLDER / "healthy.yml").read_text())
SCENARIOS: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "scenarios.yml").read_text())

START = 75
"""Minute at which a scenario begins."""
LENGTH = 260

FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'


def unit_tests(rules: Path) -> dict[str, Any]:
    """Return the file for promtool that tests each alert of `rules`."""
    groups = yaml.safe_load(rules.read_text())["groups"]
    names = [rule["alert"] for group in groups for rule in group["rules"]]
    tests = [_unit_test(name, SCENARIOS[name]) for name in names]
    return {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}


def _unit_test(alert: str, scenario: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = scenario["series"]
    assert changed.keys() <= HEALTHY.keys(), changed.keys() - HEALTHY.keys()
    silent = [START - 1, *([START + scenario["not_yet"]] if "not_yet" in scenario else [])]
    firing = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted([alert, *scenario.get("also", ())])]
    return {
        "name": alert,
        "interval": "1m",
        "input_series": [*_series(changed)],
        "promql_expr_test": [
            *({"expr": FIRING, "eval_time": f"{minute}m", "exp_samples": []} for minute in silent),
            {"expr": FIRING, "eval_time": f"{START + scenario['within']}m", "exp_samples": firing},
        ],
    }


def _series(changed: dict[str, Any]) -> Iterator[dict[str, str]]:
    for name, value in HEALTHY.items():
        if name in changed:
            yield {"series": name, "values": f"{notation(value, START - 1)} {changed[name]}"}
        else:
            yield {"series": name, "values": notation(value, LENGTH)}


def notation(value: object, minutes: int) -> str:
    """Return a value of healthy.yml in promtool's notation, from minute 0 to `minutes`."""
    text = str(value)
    return f"0{text}x{minutes}" if text.startswith("+") else f"{text}x{minutes}"
