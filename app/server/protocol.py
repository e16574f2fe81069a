"""Timeouts for slow clients."""

import asyncio
from typing import Literal, cast, get_args

from prometheus_client import Counter
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.http.raw_response import RAW_RESPONSE_EXTENSION, REQUEST_BODY_EXTENSION
from app.server.connections import ConnectionLimit
from app.server.parsing_protocol import ParsingProtocol
from core.configuration.settings import Settings
from core.metrics.labels import with_values

Phase = Literal["connecting", "sending", "taking"]
"""What a client takes too long for: to send a request after connecting, to send its rest, to take the response."""

SLOW_CLIENTS = with_values(
    Counter("smarttrip_http_slow_clients_total", "Connections ended because of how long the client took", ["doing"]),
    get_args(Phase),
)

IDLE_SECONDS = 75
"""How long a connection may be idle before a request; longer than load balancers keep idle connections."""


class TimeoutProtocol(ParsingProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        settings: Settings = self.app_state["settings"]
        # Twice the application's timeout for a body, which therefore ends first, with a response.
        self._request_timeout = 2 * settings.body_seconds
        self._write_timeout = settings.body_seconds
        self._limit: ConnectionLimit = self.app_state["connections"]
        self._limit.set_idle(self)
        self._limit.make_room(len(self.connections))
        self._reading_timer: asyncio.TimerHandle | None = self._abort_after(IDLE_SECONDS, "connecting")
        self._writing_timer: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        """Time of the loop at which the last response was sent; None while a request is served."""
        self._idle_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_timer()
        self._stop_writing_timer()
        self._limit.set_busy(self)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        if self._reading_timer is not None:
            self._stop_reading_timer()
        super().on_message_begin()

    def _end_receiving(self) -> None:
        # Also whenever the application waits for a body: the rest of a request has a timer.
        if self._reading_timer is not None:
            self._receive_rest()

    def _receive_rest(self) -> None:
        """Do what is due when a request that arrived in pieces is complete."""
        self._stop_reading_timer()

    def _wait_for_rest(self) -> None:
        # Most requests arrive in one piece and need no timer.
        if self._reading_timer is None:
            self._reading_timer = self._abort_after(self._request_timeout, "sending")

    def _become_idle(self) -> None:
        self._limit.set_idle(self)
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(IDLE_SECONDS, self._check_idle)

    def _check_idle(self) -> None:
        """Close the connection if it has been idle for long enough: one timer serves many requests."""
        self._idle_timer = None
        if self._idle_since is not None:
            # The next request may be arriving: it has a timer of its own.
            idle_since = self.loop.time() if self._framing.head else self._idle_since
            rest = idle_since + IDLE_SECONDS - self.loop.time()
            if rest > 0:
                self._idle_timer = self.loop.call_later(rest, self._check_idle)
            else:
                # Not `close`, which would wait until the client has received the rest of a response.
                self.transport.abort()

    def _prepare(self, cycle: RequestResponseCycle) -> None:
        self._limit.set_busy(self)
        self._idle_since = None
        extensions: dict[str, dict[str, object]] = {RAW_RESPONSE_EXTENSION: {}}
        if cycle.more_body:
            self._wait_for_body(cycle)
        else:
            extensions[REQUEST_BODY_EXTENSION] = {"body": bytes(cycle.body)}
        cast(Scope, cycle.scope)["extensions"] = extensions

    def _wait_for_body(self, cycle: RequestResponseCycle) -> None:
        """Do what is due when the application starts before the body has been received."""

    def pause_writing(self) -> None:
        self._writing_timer = self._abort_after(self._write_timeout, "taking")
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stop_writing_timer()
        super().resume_writing()

    def _stop_reading_timer(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _stop_writing_timer(self) -> None:
        if self._writing_timer is not None:
            self._writing_timer.cancel()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def _abort_after(self, seconds: float, doing: Phase) -> asyncio.TimerHandle:
        """Schedule the end of the connection."""
        return self.loop.call_later(seconds, self._abort, doing)

    def _abort(self, doing: Phase) -> None:
        SLOW_CLIENTS.labels(doing).inc()
        self.transport.abort()
