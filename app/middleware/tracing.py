"""Outermost middleware where traces are made: the span of a request. Never who sent it, nor what in clear."""

from collections.abc import Awaitable, Sequence
from typing import cast

from pydantic import IPvAnyNetwork
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.client_ip import is_in, parse_address
from app.http.raw_response import RESPONSE_STARTS
from app.observability.request_metrics import METHODS
from app.state import RequestContext
from core.tracing.spans import NO_SPAN, Span, Tracer

OTHER_METHOD = "_OTHER"
"""The method in place of one that is not known, by the semantic conventions."""

CONTEXT_HEADERS = (b"traceparent", b"tracestate")


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
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        headers = {
            name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in CONTEXT_HEADERS
        }
        attributes = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
        span = self._tracer.begin_request(
            method, attributes, headers, is_trusted=bool(headers) and self._is_trusted(scope)
        )
        if span is NO_SPAN:
            return self._app(scope, receive, send)
        return self._run(span, method, scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        return bool(scope.get("client")) and is_in(parse_address(scope["client"][0]), self._trusted)

    async def _run(self, span: Span, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        status: int | None = None

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] in RESPONSE_STARTS:
                status = message["status"]
            await send(message)

        with span:
            try:
                await self._app(scope, receive, observed_send)
            finally:
                if span.is_recorded:
                    _describe(span, method, scope, status)


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
