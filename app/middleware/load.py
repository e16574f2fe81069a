"""Refuses requests beyond what can be answered soon, before those that are being answered get slow."""

from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import overloaded

SHED = Counter("smarttrip_http_requests_shed_total", "Requests refused because too many were being answered")

NEVER_REFUSED = frozenset(("/livez", "/readyz", "/metrics", "/api/health"))


class LoadLimit:
    def __init__(self, app: ASGIApp, in_flight: int) -> None:
        self.app = app
        self._limit = in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in NEVER_REFUSED:
            await self.app(scope, receive, send)
            return
        if self._in_flight >= self._limit:
            SHED.inc()
            raise overloaded()
        self._in_flight += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._in_flight -= 1
