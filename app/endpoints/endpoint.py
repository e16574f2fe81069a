"""An endpoint is described once: routes and the OpenAPI document are both made from this description."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.endpoints.admin_guard import as_admin
from app.http.errors import timed_out
from app.http.raw_response import JSON
from app.http.requests import MAX_BODY, read_json, read_model, read_query
from core.timeouts import Bounds

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
    also: tuple[int, ...] = ()
    """Other statuses with an answer of the same shape."""
    errors: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()
    """Those that the handler reads, apart from credentials."""
    admin: bool = False

    async def respond(self, request: Request[Any]) -> Response:
        if self.admin:
            return await as_admin(request, self._answer)
        return await self._answer(request)

    async def _answer(self, request: Request[Any]) -> Response:
        arguments: dict[str, BaseModel] = {}
        if self.query:
            arguments["query"] = read_query(self.query, request)
        if self.body:
            arguments["body"] = read_model(self.body, await read_json(request, self.max_body))
        bounds: Bounds = request.state["settings"]
        try:
            with request.state["deadlines"].within(bounds.admin_seconds if self.admin else bounds.request_seconds):
                return await self.handler(request, **arguments)
        except TimeoutError:
            raise timed_out() from None


@dataclass(frozen=True)
class ByMethod:
    """The application at one path. A class: Starlette wraps functions in error handlers, which Edge is."""

    endpoints: Mapping[str, Endpoint]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        response = await self.endpoints[method].respond(Request(scope, receive, send))
        await response(scope, receive, send)


def routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """One route per path, so that a wrong method is answered with all the right ones; in the order given."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [Route(path, ByMethod(by_method), methods=list(by_method)) for path, by_method in by_path.items()]
