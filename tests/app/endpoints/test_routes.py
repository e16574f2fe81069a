"""Routes match the same requests as Starlette's own, but for a line feed at the end of the path."""

import pytest
from starlette.routing import Match, Route

from app.endpoints.endpoint import build_routes
from app.http.convertors import register_path_ids
from app.routes import ENDPOINTS

register_path_ids()
ROUTES = build_routes(ENDPOINTS)
PATHS = sorted(
    {
        path
        for route in ROUTES
        for path in (
            route.path,
            route.path.replace("{id:int}", "1"),
            route.path.replace("{id:int}", "x"),
            f"{route.path}/",
            f"/root{route.path}",
        )
    }
)


@pytest.mark.parametrize("root_path", ["", "/root"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH"])
def test_routes_match_as_those_of_starlette(method: str, root_path: str) -> None:
    for path in PATHS:
        scope = {"type": "http", "method": method, "path": path, "root_path": root_path}
        for route in ROUTES:
            assert route.matches(scope) == Route.matches(route, scope), (path, route.path)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_path_with_line_feed_matches_no_route(route: Route) -> None:
    path = route.path.replace("{id:int}", "1")
    assert route.matches({"type": "http", "method": "GET", "path": path})[0] is not Match.NONE
    assert route.matches({"type": "http", "method": "GET", "path": f"{path}\n"})[0] is Match.NONE
