"""Outermost middleware where traces are made: the span of a request. Never who sent it, nor what in clear."""

from collections.abc import Awaitable, Sequence
from typing import cast

from pydantic import IPvAnyNetwork
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.client_ip import is_in, parse_address
from app.http.raw_response import RESPONSE_STARTS
from app.observability.request_metrics import METHODS
from app.state import RequestContext
from core.tracing.spans import Span, Tracer

OTHER_METHOD = "_OTHER"
"""The method in place of one that is not known, by the semantic conventions."""

TRACE_HEADER = b"traceparent"
CONTEXT_HEADERS = (TRACE_HEADER, b"tracestate")


class TracingMiddleware:
    def __init__(self, app: ASGIApp, tracer: Tracer, trusted_proxies: Sequence[IPvAnyNetwork]) -> None:
        """Only the trusted proxies decide whether their traces are recorded."""
        self._app = app
        self._tracer = tracer
        self._trusted = trusted_proxies

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on, at once if its trace is not recorded: a coroutine around it would cost a tenth more."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        is_trusted = self._continues_trace(scope)
        if not is_trusted and self._tracer.leaves_out_request():
            return self._app(scope, receive, send)
        return self._run(is_trusted, scope, receive, send)

    def _continues_trace(self, scope: Scope) -> bool:
        """Return whether the request has a trace that a trusted proxy has decided about."""
        if not self._trusted or not scope.get("client"):
            return False
        has_trace = any(name == TRACE_HEADER for name, _ in scope["headers"])
        return has_trace and is_in(parse_address(scope["client"][0]), self._trusted)

    async def _run(self, is_trusted: bool, scope: Scope, receive: Receive, send: Send) -> None:
        status: int | None = None

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] in RESPONSE_STARTS:
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        with self._begin(method, scope, is_trusted=is_trusted) as span:
            try:
                await self._app(scope, receive, observed_send)
            finally:
                if span.is_recorded:
                    _describe(span, method, scope, status)

    def _begin(self, method: str, scope: Scope, *, is_trusted: bool) -> Span:
        headers = {name.decode(): _joined(scope, name) for name in CONTEXT_HEADERS}
        attributes = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
        return self._tracer.begin_request(method, attributes, headers, is_trusted=is_trusted)


def _joined(scope: Scope, name: bytes) -> str:
    """Return a header's values as one, so that the parts of a `tracestate` count and two `traceparent` are none."""
    return b",".join(value for header, value in scope["headers"] if header == name).decode("latin-1")


def _describe(span: Span, method: str, scope: Scope, status: int | None) -> None:
    """Say what is known only at the end of a request; without a status the client has disconnected."""
    context = cast("RequestContext", scope["state"]["context"])
    attributes: dict[str, str | int] = {"smarttrip.request_id": context.id}
    if context.record.cache is not None:
        attributes["smarttrip.cache"] = context.record.cache
    if context.record.variant is not None and context.record.weights is not None:
        attributes["smarttrip.variant"] = context.record.variant
        attributes["smarttrip.weights"] = context.record.weights
    if "route" in scope:
        attributes["http.route"] = scope["route"].path
        span.rename(f"{method} {scope['route'].path}")
    if status is not None:
        attributes["http.response.status_code"] = status
    span.set(attributes)
    if status is None or status >= 500:
        span.fail("client_disconnected" if status is None else str(status))
