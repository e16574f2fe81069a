"""Endpoint: one declaration from which routing, validation, limits, caching and the OpenAPI document follow."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from app.access.rate_limiter import RateLimitGroup
from app.endpoints.admin_guard import run_as_admin
from app.endpoints.cached_endpoint import CachePolicy, Reader, respond_cached
from app.http.errors import timed_out
from app.http.raw_response import JSON
from app.http.requests import MAX_BODY, parse_json, read_model, read_query
from app.http.responses import json_response
from app.state import ApiRequest, read_body
from core.concurrency.resource_limits import ResourceLimits

Handler = Callable[..., Awaitable[Response | BaseModel]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path. Routes, rate limits, load shedding, caching and the OpenAPI document follow from it.

    `handler(request)` also gets `query` and `body`, validated, where their models are declared. It returns a response,
    or the model from which the response is made. With a `cache` policy the handler is a `Reader` instead.
    """

    method: str
    path: str
    handler: Handler | Reader
    summary: str
    description: str = ""
    tag: str
    response: type[BaseModel] | None
    """Model of the response body; None if the body is not JSON, or has no model."""
    media_type: str = JSON
    """Media type of the response body."""
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    max_body: int = MAX_BODY
    """Bytes that a request body may have."""
    cache: CachePolicy | None = None
    """How responses are cached; None if they are not."""
    extra_statuses: tuple[int, ...] = ()
    """Other statuses with a body of the same model."""
    errors: tuple[int, ...] = ()
    """Error statuses beyond those that other fields imply."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Request headers that the handler reads, apart from credentials, with their descriptions."""
    described: bool = True
    """Whether it is part of the API, and so in the OpenAPI document."""
    admin: bool = False
    """Whether only administrators may call it; otherwise it is public."""
    rate_limit: RateLimitGroup | None = "default"
    """The group in which its requests are counted; None if they are not counted."""
    rate_limit_subtree: bool = False
    """Whether paths below it that no endpoint has belong to the same rate-limit group."""
    shed: bool = True
    """Whether its requests may be rejected with 503 while the process is overloaded."""
    searches: bool = False
    """Whether its requests search the index, unless they are answered from a cache: their number is limited."""
    bounds_itself: bool = False
    """Whether all that the handler waits for has a timeout of its own: another one costs an event a tenth."""
    fast_path: bool = False
    """Whether repeated requests may be answered from the process's cache, before routing and validation."""

    @property
    def error_statuses(self) -> list[int]:
        """Return the statuses other than success: `errors`, and those that other fields imply."""
        implied = {
            # The server refuses malformed requests to every path.
            400: True,
            401: self.admin,
            403: self.admin,
            404: "{" in self.path,
            408: self.body,
            413: self.body,
            415: self.body,
            429: self.rate_limit is not None,
            500: True,
            503: self.shed,
        }
        statuses = {*self.errors, *(status for status, applies in implied.items() if applies)}
        return sorted(statuses.difference(self.extra_statuses))

    def handle(self, request: ApiRequest) -> Awaitable[Response]:
        """Check the caller, validate the input and run the handler, when awaited.

        Raises ApiError: 400 (invalid input), 401 or 403 (not an administrator), 503 (the timeout has passed), and
        whatever the handler raises.
        """
        if self.admin:
            return run_as_admin(request, self._invoke)
        return self._invoke(request)

    async def _invoke(self, request: ApiRequest) -> Response:
        query = read_query(self.query, request) if self.query else None
        body = read_model(self.body, await _read_json(request, self.max_body)) if self.body else None
        if self.bounds_itself:
            return await self._respond(request, query, body)
        bounds: ResourceLimits = request.scope["state"]["settings"]
        try:
            async with asyncio.timeout(bounds.admin_seconds if self.admin else bounds.request_seconds):
                return await self._respond(request, query, body)
        except TimeoutError:
            raise timed_out() from None

    async def _respond(self, request: ApiRequest, query: BaseModel | None, body: BaseModel | None) -> Response:
        if self.cache is not None:
            return await respond_cached(request, self.cache, cast("Reader", self.handler), query)
        arguments = {name: value for name, value in (("query", query), ("body", body)) if value is not None}
        result = await cast("Handler", self.handler)(request, **arguments)
        if isinstance(result, BaseModel):
            return json_response(request, result, status=self.status)
        return result


async def _read_json(request: ApiRequest, limit: int) -> object:
    body = await read_body(request.scope["state"], request.receive, limit)
    return parse_json(body, request.headers.get("content-type", ""))


@dataclass(frozen=True)
class MethodDispatcher:
    """ASGI application at one path.

    A class, because Starlette would wrap a function in error handlers; `RequestContextMiddleware` handles errors.
    """

    endpoints: Mapping[str, Endpoint]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        response = await self.endpoints[method].handle(Request(scope, receive, send))
        await response(scope, receive, send)


def build_routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """Return one route per path, in the given order, so that a 405 response lists all methods of the path."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [
        ExactRoute(path, MethodDispatcher(by_method), methods=list(by_method)) for path, by_method in by_path.items()
    ]


class ExactRoute(Route):
    """A route that matches no path with a line feed at its end, as Starlette's do: rate limits go by the exact path."""

    def __init__(self, path: str, endpoint: MethodDispatcher, methods: list[str]) -> None:
        super().__init__(path, endpoint, methods=methods)
        self.path_regex = re.compile(rf"{self.path_regex.pattern.removesuffix('$')}\Z")
        self._constant = path.partition("{")[0]
        """What every path that matches contains: the part before its first parameter."""
        self._methods = self.methods or set()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as Starlette does. The router asks one route after the other, so this avoids regular expressions."""
        if self._constant not in scope["path"]:
            return Match.NONE, {}
        if self._constant != self.path or scope["path"] != self.path or scope.get("root_path"):
            return super().matches(scope)
        match = Match.FULL if scope["method"] in self._methods else Match.PARTIAL
        return match, {"endpoint": self.endpoint, "path_params": {}}
