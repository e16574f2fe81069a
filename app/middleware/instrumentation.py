"""Metrics, access line and default headers of a response, added while it is sent."""

from collections.abc import Sequence
from time import perf_counter

from starlette.types import Message, Scope, Send

from app.http.raw_response import RAW_RESPONSE_EXTENSION, Header, add_headers, is_public
from app.observability import request_metrics
from app.observability.access_log import AccessLog, FinishedRequest, server_timing
from app.observability.request_metrics import CLIENT_CLOSED_REQUEST, METHODS, UNKNOWN_ROUTE
from app.state import RequestContext, client_class
from core.metrics.labels import OTHER
from core.tracing import spans


class InstrumentedSend:
    """Wrap `send`: add headers to the response, and count and time the request by its route.

    Paths that no route matches share one label, so that clients cannot create labels.
    """

    __slots__ = (
        "_added",
        "_context",
        "_default_headers",
        "_scope",
        "_send",
        "_sent_bytes",
        "_shows_timing",
        "_started_at",
        "status",
    )

    def __init__(
        self,
        send: Send,
        scope: Scope,
        added: tuple[Header, ...],
        default_headers: Sequence[Header],
        *,
        shows_timing: bool = False,
    ) -> None:
        """Add the headers `added`, and those of `default_headers` that a standard response does not set itself.

        Public responses do not carry those of this one request: its id, and for administrators, or with `shows_timing`
        for everybody, where its time went.
        """
        self._send = send
        self._scope = scope
        self._context: RequestContext = scope["state"]["context"]
        self._shows_timing = shows_timing
        self._added = added
        self._default_headers = default_headers
        self._sent_bytes = 0
        self.status = CLIENT_CLOSED_REQUEST
        self._started_at = perf_counter()
        request_metrics.in_flight += 1

    @property
    def started(self) -> bool:
        return self.status != CLIENT_CLOSED_REQUEST

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            present = {name for name, _ in message["headers"]}
            defaults = (pair for pair in self._default_headers if pair[0] not in present)
            add_headers(message, self._own_headers(message), (*self._added, *defaults))
        elif message["type"] == RAW_RESPONSE_EXTENSION:
            self.status = message["status"]
            self._sent_bytes += sum(map(len, message["body"]))
            add_headers(message, self._own_headers(message), self._added)
        else:
            self._sent_bytes += len(message.get("body", b""))
        await self._send(message)

    def _own_headers(self, message: Message) -> tuple[Header, ...]:
        if is_public(message):
            return ()
        own_id = (b"x-request-id", self._context.id.encode())
        if self._shows_timing or client_class(self._scope) == "admin":
            timing = server_timing(self._context.record, self._started_at)
            return (own_id, (b"server-timing", timing))
        return (own_id,)

    def finish(self, access_log: AccessLog) -> None:
        """Count the request, and write its line into the access log if it is due."""
        request_metrics.in_flight -= 1
        scope, context, now = self._scope, self._context, perf_counter()
        route = scope["route"].path if "route" in scope else UNKNOWN_ROUTE
        method = METHODS.get(scope["method"], OTHER)
        seconds, sent = now - self._started_at, self._sent_bytes
        counters = request_metrics.counters_of(method, route, self.status)
        counters.add(seconds, len(context.body or b""), sent)
        if spans.is_recorded() and (trace_id := spans.recorded_trace_id()):
            counters.add_exemplar(seconds, trace_id)
        if access_log.is_due(self.status, seconds, now):
            client = client_class(scope)
            access_log.write(FinishedRequest(method, route, self.status, seconds, sent, client, context.record))
