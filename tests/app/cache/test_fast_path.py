from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from app.cache.fast_path import ENTRY_OVERHEAD, MAX_BODY_BYTES, MAX_BYTES, FastPath
from app.http.raw_response import RawResponse
from app.state import RequestContext

JSON = {b"content-type": b"application/json"}
RESPONSE = RawResponse(200, (), (b"cached",))


def unused(request: Request) -> Response:
    raise AssertionError


ROUTES = {path: Route(path, unused) for path in ("/things/{id:int}", "/search", "/plain")}


def scope_of(
    method: str = "POST", path: str = "/search", query: bytes = b"", *, template: str | None = None, **headers: bytes
) -> Scope:
    fields = {**JSON, **{name.replace("_", "-").encode(): value for name, value in headers.items()}}
    scope: dict[str, Any] = {
        "method": method,
        "path": path,
        "query_string": query,
        "state": {"context": RequestContext("id", fields)},
    }
    return scope | {"route": ROUTES[template or path]}


@pytest.fixture
def fast_path() -> FastPath:
    return FastPath({("GET", "/things/{id:int}"): {"limit"}, ("POST", "/search"): set()})


def respond(scope: Scope) -> RawResponse | None:
    return RESPONSE


def test_equal_request_is_answered(fast_path: FastPath) -> None:
    fast_path.register(scope_of(), respond, body=b"{}")
    repeated = scope_of()
    del repeated["route"]
    assert fast_path.lookup(repeated, b"{}") is RESPONSE
    assert repeated["route"] is ROUTES["/search"]


@pytest.mark.parametrize("cached", [True, False])
def test_server_knows_before_a_request_has_a_context_whether_it_is_cached(fast_path: FastPath, *, cached: bool) -> None:
    fast_path.register(scope_of(), respond, body=b"{}", is_cached=lambda scope: cached)
    scope = {"method": "POST", "path": "/search", "query_string": b"", "headers": [*JSON.items()]}
    assert fast_path.is_cached(scope, b"{}") is cached
    assert not fast_path.is_cached(scope, b"{ }")


@pytest.mark.parametrize(
    ("other", "body"),
    [
        (scope_of(), b"{ }"),
        (scope_of("PUT"), b"{}"),
        (scope_of(path="/plain"), b"{}"),
        (scope_of(query=b"a=1"), b"{}"),
        (scope_of(accept_encoding=b"gzip"), b"{}"),
        (scope_of(content_type=b"text/plain"), b"{}"),
    ],
    ids=["body", "method", "path", "query", "encoding", "content type"],
)
def test_other_request_is_not_answered(fast_path: FastPath, other: Scope, body: bytes) -> None:
    fast_path.register(scope_of(), respond, body=b"{}")
    assert fast_path.lookup(other, body) is None


def test_route_template_admits_its_paths(fast_path: FastPath) -> None:
    fast_path.register(scope_of("GET", "/things/1", template="/things/{id:int}"), respond)
    assert fast_path.lookup(scope_of("GET", "/things/1", template="/things/{id:int}"), b"") is RESPONSE


def test_other_endpoints_do_not_take_part(fast_path: FastPath) -> None:
    for excluded in (scope_of("GET", "/plain"), scope_of("HEAD", "/things/1", template="/things/{id:int}")):
        fast_path.register(excluded, respond)
        assert fast_path.lookup(excluded, b"") is None


def test_long_bodies_are_not_registered(fast_path: FastPath) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    fast_path.register(scope_of(), respond, body=body)
    assert fast_path.lookup(scope_of(), body) is None


@pytest.mark.parametrize("query", [b"other=1", b"limit=1&other=1", b"&", b"=", b"x" * 30_000, b"limit=" + b"1" * 1000])
def test_long_or_unknown_parameters_are_not_registered(fast_path: FastPath, query: bytes) -> None:
    scope = scope_of("GET", "/things/1", query, template="/things/{id:int}")
    fast_path.register(scope, respond)
    assert fast_path.lookup(scope, b"") is None


def test_known_parameters_are_registered(fast_path: FastPath) -> None:
    scope = scope_of("GET", "/things/1", b"limit=1", template="/things/{id:int}")
    fast_path.register(scope, respond)
    assert fast_path.lookup(scope, b"") is RESPONSE


def test_entries_are_bounded_by_bytes(fast_path: FastPath) -> None:
    scopes = [scope_of("GET", f"/things/{n}", b"limit=1", template="/things/{id:int}") for n in range(10_000)]
    for scope in scopes:
        fast_path.register(scope, respond)
    found = [fast_path.lookup(scope, b"") is RESPONSE for scope in scopes]
    assert found[-1]
    assert not found[0]
    assert sum(found) * ENTRY_OVERHEAD < MAX_BYTES


def test_expired_response_takes_the_usual_path(fast_path: FastPath) -> None:
    fast_path.register(scope_of(), lambda scope: None, body=b"{}")
    repeated = scope_of()
    del repeated["route"]
    assert fast_path.lookup(repeated, b"{}") is None
    assert "route" not in repeated


def test_only_gets_and_registered_posts_are_looked_up(fast_path: FastPath) -> None:
    assert fast_path.may_respond(scope_of())
    assert fast_path.may_respond(scope_of("GET"))
    assert not fast_path.may_respond(scope_of(path="/plain"))
    assert not fast_path.may_respond(scope_of("HEAD"))
