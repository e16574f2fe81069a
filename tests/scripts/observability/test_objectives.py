"""The table of objectives covers the API, and can be measured."""

import pytest

from app.endpoints.endpoint import Endpoint
from app.observability.metrics import LATENCY_BUCKETS
from app.routes import ENDPOINTS
from indexer.metrics import LAG
from scripts.observability.objectives import FRESH_SECONDS, GROUPS
from scripts.observability.slo_rules import BURN_RATES, HOURS

PUBLIC = [endpoint for endpoint in ENDPOINTS if endpoint.path.startswith("/api/") and not endpoint.admin]
WITHOUT_OBJECTIVE = ("/api/health", "/api/metrics", "/api/evaluation")
"""What operators and evaluations call, by the beginning of the path."""


@pytest.mark.parametrize("endpoint", PUBLIC, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_public_endpoint_has_one_group(endpoint: Endpoint) -> None:
    groups = [group.name for group in GROUPS if group.contains(endpoint)]
    assert len(groups) == (0 if endpoint.path.startswith(WITHOUT_OBJECTIVE) else 1)


def test_groups_contain_no_other_endpoints() -> None:
    others = [endpoint for endpoint in ENDPOINTS if endpoint not in PUBLIC]
    assert [endpoint.path for endpoint in others if any(group.contains(endpoint) for group in GROUPS)] == []


def test_groups_share_no_route() -> None:
    routes = [route for group in GROUPS for route in group.routes()]
    assert len(routes) == len(set(routes))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_promised_time_bounds_a_bucket(group: object) -> None:
    assert group.seconds in LATENCY_BUCKETS  # type: ignore[attr-defined]


def test_promised_freshness_bounds_a_bucket() -> None:
    assert FRESH_SECONDS in LAG._upper_bounds


def test_burn_rates_use_windows_that_are_recorded() -> None:
    assert {window for rate in BURN_RATES for window in (rate.long, rate.short)} <= HOURS.keys()
