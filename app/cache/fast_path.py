"""Fast path: respond to a repeated request from the process's cache, before routing and validation.

These cost more than a cached response itself. A handler registers how a request that equals its own in every respect
can be answered; the middleware looks that up. Only endpoints with `fast_path=True` take part.
"""

from collections.abc import Callable, Set
from typing import NamedTuple

from cachetools import LRUCache
from starlette.routing import Route
from starlette.types import Scope

from app.http.conditional import accepts_gzip_response
from app.http.raw_response import CONTENT_TYPE_JSON, RawResponse, RequestHeaders

MAX_ENTRIES = 6000
"""Requests that a process can respond to on the fast path; the least recently used are dropped."""

MAX_BODY_BYTES = 2000
"""Requests with longer bodies are not registered; the web client's have a few hundred bytes."""

LocalResponse = Callable[[Scope], RawResponse | None]
"""Return the response if the process's cache has a current one, else None."""


class RequestKey(NamedTuple):
    """Whatever a cached response can depend on, apart from the time and conditional headers."""

    method: str
    path: str
    query_string: bytes
    body: bytes
    content_type: bytes | None
    gzip: bool


class Entry(NamedTuple):
    respond: LocalResponse
    route: Route
    """Route under which the request is counted in metrics."""


class FastPath:
    def __init__(self, endpoints: Set[tuple[str, str]]) -> None:
        """`endpoints` are methods with the path templates of the routes."""
        self._endpoints = endpoints
        self._entries: LRUCache[RequestKey, Entry] = LRUCache(MAX_ENTRIES)

    def needs_body(self, scope: Scope) -> bool:
        """Return whether a lookup takes the request's body. Such endpoints have no parameters in their paths."""
        return scope["method"] == "POST" and ("POST", scope["path"]) in self._endpoints

    def register(self, scope: Scope, respond: LocalResponse, *, body: bytes = b"") -> None:
        """Let requests that equal this one be answered by `respond`, which must not hold on to the request."""
        route: Route = scope["route"]
        if (scope["method"], route.path) in self._endpoints and len(body) <= MAX_BODY_BYTES:
            self._entries[_request_key(scope, body)] = Entry(respond, route)

    def lookup(self, scope: Scope, body: bytes) -> RawResponse | None:
        """Return the response to the request, or None if it has to take the usual path."""
        entry = self._entries.get(_request_key(scope, body))
        response = entry.respond(scope) if entry else None
        if entry and response:
            scope["route"] = entry.route
        return response


def _request_key(scope: Scope, body: bytes) -> RequestKey:
    headers: RequestHeaders = scope["state"]["context"].headers
    return RequestKey(
        scope["method"],
        scope["path"],
        scope["query_string"],
        body,
        headers.get(CONTENT_TYPE_JSON[0]),
        accepts_gzip_response(headers),
    )
