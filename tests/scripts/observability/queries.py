"""Every PromQL query of dashboards and rules, and the series that they select."""

from collections.abc import Iterator
from itertools import product
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
    return {str(selector.name) for selector in _vector_selectors(query)}


def series_of(query: str) -> set[str]:
    """Return selectors of the series that a query selects: one for each alternative of a regular expression."""
    return {one for selector in _vector_selectors(query) for one in _alternatives(selector)}


def _vector_selectors(query: str) -> list[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def _alternatives(selector: promql_parser.VectorSelector) -> Iterator[str]:
    for matchers in product(*map(_single_matchers, selector.matchers.matchers)):
        yield f"{selector.name}{{{','.join(matchers)}}}"


def _single_matchers(matcher: promql_parser.Matcher) -> list[str]:
    if matcher.op != promql_parser.MatchOp.Re:
        return [str(matcher)]
    return [f'{matcher.name}=~"{value}"' for value in matcher.value.split("|")]
