from itertools import product

import pytest
from starlette.routing import Match

from app.endpoints.endpoint import Endpoint, build_routes
from app.endpoints.rate_limit_groups import RateLimitGroups
from app.http.convertors import register_path_ids
from app.routes import ENDPOINTS
from app.routes.probes import get_liveness

GROUPS = RateLimitGroups(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_endpoint_is_counted_in_its_own_group(endpoint: Endpoint) -> None:
    path = endpoint.path.replace("{id:int}", "1")
    assert GROUPS.group_of(endpoint.method, path) == endpoint.rate_limit
    assert GROUPS.group_of("HEAD", path) == endpoint.rate_limit
    assert GROUPS.group_of("OPTIONS", path) is None


@pytest.mark.parametrize(
    ("method", "path", "group"),
    [
        ("POST", "/api/v2/recommendations", "recommendations"),
        ("GET", "/api/locations", "resources"),
        ("GET", "/api/countries", "resources"),
        ("GET", "/api/countries/5", "resources"),
        ("GET", "/api/v2/companies/5/templates", "resources"),
        ("GET", "/api/events/types", "resources"),
        ("POST", "/api/events", "events"),
        ("POST", "/api/events/batch", "events"),
        ("POST", "/api/session/start", "events"),
        ("GET", "/api/v2/occurrences/5", "default"),
        ("GET", "/api/v2/companiesandmore", "default"),
        ("GET", "/api/countries/no-such-id", "resources"),
        ("GET", "/api/guides/", "resources"),
        ("GET", "/api/v2/companies/5/no-such-list", "resources"),
        ("GET", "/api/events/no-such-path", "default"),
        ("DELETE", "/api/events", "events"),
        ("POST", "/api/admin/reindex", "default"),
        ("GET", "/no/such/path", "default"),
        ("GET", "/livez", None),
        ("GET", "/readyz", None),
        ("GET", "/metrics", None),
        ("GET", "/api/health", None),
        ("GET", "/docs", None),
        ("GET", "/docs/page.js", None),
        ("GET", "/openapi.json", None),
        ("OPTIONS", "/api/v2/recommendations", None),
    ],
)
def test_path_belongs_to_its_group(method: str, path: str, group: str | None) -> None:
    assert GROUPS.group_of(method, path) == group


@pytest.mark.parametrize("path", sorted({endpoint.path for endpoint in ENDPOINTS}))
def test_no_other_spelling_leads_to_an_endpoint(path: str) -> None:
    """Rate limits go by the exact path: whatever reached the endpoint by another one would be counted elsewhere."""
    register_path_ids()
    routes, path = build_routes(ENDPOINTS), path.replace("{id:int}", "1")
    odd = [chr(code) for code in (*range(0x21), *b"/\\;?#%", *range(0x7F, 0xA1), 0x660, 0x2028, 0xFEFF)]
    for position, character in product(range(len(path) + 1), odd):
        changed = path[:position] + character + path[position:]
        scope = {"type": "http", "method": "GET", "path": changed}
        assert [route.path for route in routes if route.matches(scope)[0] is not Match.NONE] == [], repr(changed)


def test_endpoints_at_one_path_cannot_disagree() -> None:
    counted = Endpoint(method="GET", path="/x", handler=get_liveness, summary="", tag="", response=None)
    uncounted = Endpoint(
        method="POST", path="/x", handler=get_liveness, summary="", tag="", response=None, rate_limit=None
    )
    with pytest.raises(ValueError, match="/x"):
        RateLimitGroups([counted, uncounted])
