"""Metrics and default headers of a response, added while it is sent."""

from collections.abc import Sequence
from time import perf_counter

from starlette.types import Message, Scope, Send

from app.http.raw_response import RAW_RESPONSE_EXTENSION, Header, add_headers, is_public
from app.observability import request_metrics
from app.observability.request_metrics import CLIENT_CLOSED_REQUEST, METHODS, UNKNOWN_ROUTE
from core.metric_labels import OTHER


class InstrumentedSend:
    """Wrap `send`: add headers to the response, and count and time the request by its route.

    Paths that no route matches share one label, so that clients cannot create labels.
    """

    __slots__ = ("_added", "_default_headers", "_own", "_send", "_sent_bytes", "_started_at", "status")

    def __init__(self, send: Send, own: Header, added: tuple[Header, ...], default_headers: Sequence[Header]) -> None:
        """Add the headers `added`, and those of `default_headers` that a standard response does not set itself.

        `own` is a header of this one request, which public responses do not carry.
        """
        self._send = send
        self._own = own
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
            add_headers(
                message, (*self._headers(message), *(pair for pair in self._default_headers if pair[0] not in present))
            )
        elif message["type"] == RAW_RESPONSE_EXTENSION:
            self.status = message["status"]
            self._sent_bytes += sum(map(len, message["body"]))
            add_headers(message, self._headers(message))
        else:
            self._sent_bytes += len(message.get("body", b""))
        await self._send(message)

    def _headers(self, message: Message) -> tuple[Header, ...]:
        return self._added if is_public(message) else (self._own, *self._added)

    def finish(self, scope: Scope, received: int) -> None:
        """Count the request, whose body had `received` bytes."""
        request_metrics.in_flight -= 1
        route = scope["route"].path if "route" in scope else UNKNOWN_ROUTE
        method = METHODS.get(scope["method"], OTHER)
        request_metrics.counters_of(method, route, self.status).add(
            perf_counter() - self._started_at, received, self._sent_bytes
        )
