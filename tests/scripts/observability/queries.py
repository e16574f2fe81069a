"""Every PromQL query of dashboards and rules, and the metrics that they name."""

from typing import Any

import promql_parser
import yaml

from scripts.observability.alerts import ALERT_FILES
from scripts.observability.generated_files import dashboards
from scripts.observability.slo_rules import slo_rules


def panel_queries() -> dict[str, str]:
    """Return the queries of all panels, by dashboard, panel and legend."""
    found = {}
    for page in dashboards():
        for panel in page.panels or []:
            for target in getattr(panel, "targets", None) or []:
                found[f"{page.title}: {panel.title}: {target.legend_format}"] = target.expr
    return found


def rules() -> list[dict[str, Any]]:
    files = [slo_rules(), *(yaml.safe_load(path.read_text(encoding="utf-8")) for path in ALERT_FILES)]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def rule_queries() -> dict[str, str]:
    return {f"{rule.get('alert') or rule['record']} {rule.get('labels')}": rule["expr"] for rule in rules()}


def metrics_of(query: str) -> set[str]:
    """Return the names of the series that a query selects. Raises: ValueError if it is no PromQL."""
    names: set[str] = set()

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            names.add(str(node.name))
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return names
