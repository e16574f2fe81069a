"""The alerts of deploy/prometheus: generated ones for objectives, written ones for symptoms and causes."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.observability.slo_rules import Rule, slo_rules

ROOT = Path(__file__).parents[2]
ALERT_FILES = sorted((ROOT / "deploy/prometheus/alerts").glob("*.rules.yml"))


@dataclass(frozen=True)
class Alert:
    """All rules of one name; those of an error budget differ in window and severity."""

    name: str
    rules: tuple[Rule, ...]

    @property
    def severities(self) -> list[str]:
        return sorted({rule["labels"]["severity"] for rule in self.rules})

    @property
    def runbook(self) -> Path:
        (path,) = {rule["annotations"]["runbook"] for rule in self.rules}
        return ROOT / str(path)


def alerts() -> list[Alert]:
    """Return every alert, in the order of the files."""
    files = [slo_rules(), *(yaml.safe_load(path.read_text(encoding="utf-8")) for path in ALERT_FILES)]
    rules: dict[str, list[Rule]] = {}
    for file in files:
        for group in file["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    rules.setdefault(rule["alert"], []).append(rule)
    return [Alert(name, tuple(found)) for name, found in rules.items()]
