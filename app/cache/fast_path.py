"""Fast path: respond to a repeated request from the process's cache, before routing and validation.

These cost more than a cached response itself. A handler registers how a request that equals its own in every respect
can be answered; the middleware looks that up. Only endpoints with `fast_path=True` take part.
"""

from collections.abc import Callable, Mapping, Set
from operator import attrgetter
from typing import NamedTuple

from cachetools import LRUCache
from starlette.routing import Route
from starlette.types import Scope

from app.http.conditional import accepts_gzip_response
from app.http.raw_response import RawResponse, RequestHeaders

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of the requests that a process can respond to on the fast path; the least recently used are dropped. That is
nearly 3,000 searches: more than a process has responses of, fewer than a flood of different ones would leave."""

MAX_BODY_BYTES = 2000
"""Requests with longer bodies are not registered; the web client's have a few hundred bytes."""

MAX_HEAD_BYTES = 1000
"""Requests with more bytes of path, query string and content type are not registered."""

ENTRY_OVERHEAD = 1000
"""Bytes that an entry takes beside the request itself."""

LocalResponse = Callable[[Scope], RawResponse | None]
"""Return the response if the process's cache has a current one, else None."""

IsCached = Callable[[Scope], bool]
"""Return whether there is a current response in the process or in Redis; the scope is that of the server."""


def never_cached(_scope: Scope) -> bool:
    return False


RequestKey = tuple[str, str, bytes, bytes, bytes | None, bool]
"""Whatever a cached response can depend on, apart from the time and conditional headers.

Method, path, query string, body, content type, and whether the response may be compressed.
"""


class Entry(NamedTuple):
    respond: LocalResponse
    is_cached: IsCached
    route: Route
    """Route under which the request is counted in metrics."""
    size: int
    """Bytes in memory."""


class FastPath:
    def __init__(self, endpoints: Mapping[tuple[str, str], Set[str]]) -> None:
        """`endpoints` are the query parameters by method and path template of the route."""
        self._parameters = {
            endpoint: {parameter.encode() for parameter in names} for endpoint, names in endpoints.items()
        }
        self._entries: LRUCache[RequestKey, Entry] = LRUCache(MAX_BYTES, getsizeof=attrgetter("size"))

    def may_respond(self, scope: Scope) -> bool:
        """Return whether a lookup is worth its time. Endpoints with a body have no parameters in their paths."""
        method = scope["method"]
        return method == "GET" or (method, scope["path"]) in self._parameters

    def register(
        self, scope: Scope, respond: LocalResponse, *, body: bytes = b"", is_cached: IsCached = never_cached
    ) -> None:
        """Let requests that equal this one be answered by `respond`; neither function may hold on to the request.

        Long requests and those with unknown parameters are not registered: nobody but an attacker repeats them.
        """
        route: Route = scope["route"]
        parameters = self._parameters.get((scope["method"], route.path))
        if parameters is None or not _names(scope["query_string"]) <= parameters:
            return
        key = _request_key(scope, body)
        _, path, query_string, _, content_type, _ = key
        head = len(path) + len(query_string) + len(content_type or b"")
        if head <= MAX_HEAD_BYTES and len(body) <= MAX_BODY_BYTES:
            self._entries[key] = Entry(respond, is_cached, route, head + len(body) + ENTRY_OVERHEAD)

    def is_cached(self, scope: Scope, body: bytes) -> bool:
        """Return whether an equal request is registered whose response is cached; the scope has no context yet."""
        entry = self._entries.get(_key_of(scope, dict(scope["headers"]), body))
        return entry is not None and entry.is_cached(scope)

    def lookup(self, scope: Scope, body: bytes) -> RawResponse | None:
        """Return the response to the request, or None if it has to take the usual path."""
        try:
            entry = self._entries[_request_key(scope, body)]
        except KeyError:
            return None
        response = entry.respond(scope)
        if response is not None:
            scope["route"] = entry.route
        return response


def _names(query_string: bytes) -> Set[bytes]:
    """Return the names of the parameters as they are sent."""
    if not query_string:
        return frozenset()
    return {parameter.partition(b"=")[0] for parameter in query_string.split(b"&")}


def _request_key(scope: Scope, body: bytes) -> RequestKey:
    return _key_of(scope, scope["state"]["context"].headers, body)


def _key_of(scope: Scope, headers: RequestHeaders, body: bytes) -> RequestKey:
    return (
        scope["method"],
        scope["path"],
        scope["query_string"],
        body,
        headers.get(b"content-type"),
        accepts_gzip_response(headers),
    )
