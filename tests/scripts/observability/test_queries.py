"""Queries of dashboards and rules are PromQL, and name only series that exist."""

import pytest

from tests.docs.test_reference import metrics
from tests.scripts.observability.queries import metrics_of, panel_queries, rule_queries, rules

OF_PROMETHEUS = {"up"}
OF_PROCESSES = {f"process_{name}" for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds")}
JOINED_ONLY = {"smarttrip_role"}
"""Metrics for queries of an operator's own, see docs/how-to/deploy.md."""
QUERIES = panel_queries() | rule_queries()


@pytest.fixture(scope="module")
def exported() -> set[str]:
    """Names of all series that the processes export, Prometheus adds or rules record."""
    found = metrics()
    parts = ("_bucket", "_count", "_sum")
    series = {name + part for name, kind in found.items() if kind in ("histogram", "summary") for part in parts}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    return found.keys() | series | recorded | OF_PROMETHEUS | OF_PROCESSES


def test_every_metric_is_in_a_panel_or_a_rule() -> None:
    selected = {name for query in QUERIES.values() for name in metrics_of(query)}
    unused = {name for name in metrics() if not any(series.startswith(name) for series in selected)}
    assert unused == JOINED_ONLY


@pytest.mark.parametrize("query", QUERIES)
def test_query_names_only_series_that_exist(query: str, exported: set[str]) -> None:
    assert metrics_of(QUERIES[query]) <= exported
