"""HTTP/1.1 as uvicorn speaks it, for clients that send or take too slowly, or too much."""

import asyncio

from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schemas.settings import Settings

SLOW = Counter("smarttrip_http_slow_clients_total", "Connections ended because of how long the client took", ["doing"])

MAX_HEAD = 32 * 1024
"""Bytes of a request before its body: its address and its headers."""

IDLE_SECONDS = 75
"""How long a connection may be silent before a request begins; longer than load balancers keep it."""


class HeadTooLongError(Exception):
    """Never leaves the parser, which turns it into a 400."""


class BoundedProtocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        settings: Settings = self.app_state["settings"]
        # The body has a time of its own, which ends sooner and with an answer.
        self._request_seconds = 2 * settings.body_seconds
        self._answer_seconds = settings.body_seconds
        self._head_bytes: int | None = None
        """None while no head is being read."""
        self._reading = self._end_in(IDLE_SECONDS, "connecting")
        self._writing: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading.cancel()
        self._written()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's head is too long.")

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        self._reading.cancel()
        self._reading = self._end_in(self._request_seconds, "sending")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            raise HeadTooLongError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._reading.cancel()
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._writing = self._end_in(self._answer_seconds, "taking")
        super().pause_writing()

    def resume_writing(self) -> None:
        self._written()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        # Not closed: that would wait until the client has taken what is left of an answer.
        self.transport.abort()

    def _written(self) -> None:
        if self._writing is not None:
            self._writing.cancel()

    def _end_in(self, seconds: float, doing: str) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, self._end, doing)

    def _end(self, doing: str) -> None:
        SLOW.labels(doing).inc()
        self.transport.abort()
