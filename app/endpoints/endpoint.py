"""An endpoint is described once: routes and the OpenAPI document are both made from this description."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.access.rate_limiter import RateLimitGroup
from app.endpoints.admin_guard import run_as_admin
from app.http.errors import timed_out
from app.http.raw_response import JSON
from app.http.requests import MAX_BODY, parse_json, read_model, read_query
from app.state import ApiRequest, read_body
from core.timeouts import ResourceLimits

Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """`handler(request)` also gets `query` and `body`, already validated, where models are named."""

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    answer: type[BaseModel] | None
    """None where the answer is no JSON object of ours."""
    media_type: str = JSON
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    max_body: int = MAX_BODY
    extra_statuses: tuple[int, ...] = ()
    """Other statuses with an answer of the same shape."""
    errors: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()
    """Those that the handler reads, apart from credentials."""
    admin: bool = False
    """Whether only administrators may call it; otherwise it is public."""
    rate_limit: RateLimitGroup | None = "default"
    """The group in which its requests are counted; None if they are not counted."""
    rate_limit_subtree: bool = False
    """Whether paths below it that no endpoint has belong to the same rate-limit group."""
    shed: bool = True
    """Whether its requests may be rejected with 503 while the process is overloaded."""
    fast_path: bool = False
    """Whether the handler may be bypassed by a response that this process has cached."""

    async def handle(self, request: Request[Any]) -> Response:
        if self.admin:
            return await run_as_admin(request, self._invoke)
        return await self._invoke(request)

    async def _invoke(self, request: Request[Any]) -> Response:
        arguments: dict[str, BaseModel] = {}
        if self.query:
            arguments["query"] = read_query(self.query, request)
        if self.body:
            arguments["body"] = read_model(self.body, await _read_json(request, self.max_body))
        bounds: ResourceLimits = request.state["settings"]
        try:
            async with asyncio.timeout(bounds.admin_seconds if self.admin else bounds.request_seconds):
                return await self.handler(request, **arguments)
        except TimeoutError:
            raise timed_out() from None


async def _read_json(request: ApiRequest, limit: int) -> object:
    body = await read_body(request.state, request.receive, limit)
    return parse_json(body, request.headers.get("content-type", ""))


@dataclass(frozen=True)
class MethodDispatcher:
    """The application at one path. A class: Starlette wraps functions in error handlers, which Edge is."""

    endpoints: Mapping[str, Endpoint]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        response = await self.endpoints[method].handle(Request(scope, receive, send))
        await response(scope, receive, send)


def build_routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """One route per path, so that a wrong method is answered with all the right ones; in the order given."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [Route(path, MethodDispatcher(by_method), methods=list(by_method)) for path, by_method in by_path.items()]
