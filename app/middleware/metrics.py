"""Counts and times requests by route; an address that no route has is one label, whatever clients make up."""

from functools import lru_cache
from time import perf_counter
from typing import NamedTuple

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import IN_FLIGHT, LATENCY, REQUEST_BYTES, RESPONSE_BYTES

METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}
UNFINISHED = 499
"""Status of a request whose client went away before an answer began."""


class Metrics:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(receive, send)
        IN_FLIGHT.inc()
        try:
            await self.app(scope, exchange.receive, exchange.send)
        finally:
            IN_FLIGHT.dec()
            exchange.record(scope)


class Exchange:
    """One request and its answer, watched as they pass."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._began = perf_counter()
        self._status = UNFINISHED
        self._received = 0
        self._sent = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        self._sent += len(message.get("body", b""))
        await self._send(message)

    def record(self, scope: Scope) -> None:
        route = scope["route"].path if "route" in scope else "unknown"
        method = scope["method"] if scope["method"] in METHODS else "other"
        figures = _figures(method, route, self._status)
        figures.latency.observe(perf_counter() - self._began)
        figures.received.inc(self._received)
        figures.sent.inc(self._sent)


class Figures(NamedTuple):
    latency: Histogram
    received: Counter
    sent: Counter


@lru_cache(maxsize=2048)
def _figures(method: str, route: str, status: int) -> Figures:
    """Looked up once: finding a labelled figure costs more than counting with it."""
    return Figures(LATENCY.labels(method, route, status), REQUEST_BYTES.labels(route), RESPONSE_BYTES.labels(route))
