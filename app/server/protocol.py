"""HTTP/1.1 protocol: uvicorn's, with timeouts for slow clients, a limit on the head, and the raw-response extension.

It overrides private methods of uvicorn, which is therefore pinned to a minor version.
"""

import asyncio
from functools import partial
from typing import Any, cast

from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.http.raw_response import (
    CONNECTION_CLOSE,
    RAW_RESPONSE_EXTENSION,
    REQUEST_BODY_EXTENSION,
    encode_headers_cached,
)
from app.server.coalescing_transport import CoalescingTransport
from core.settings import Settings

SLOW_CLIENTS = Counter(
    "smarttrip_http_slow_clients_total", "Connections ended because of how long the client took", ["doing"]
)

MAX_HEAD = 32 * 1024
"""Bytes of a request before its body: the request line and the headers."""

IDLE_SECONDS = 75
"""How long a connection may be idle before a request; longer than load balancers keep idle connections."""


class HeadTooLongError(Exception):
    """Raised inside the parser, which turns it into a 400."""


class TimeoutProtocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, CoalescingTransport(transport, self.loop)))
        settings: Settings = self.app_state["settings"]
        # Twice the application's timeout for a body, which therefore ends first, with a response.
        self._request_timeout = 2 * settings.body_seconds
        self._write_timeout = settings.body_seconds
        self._head_bytes: int | None = None
        """Bytes received of the current head; None between a head's end and the next request."""
        self._receiving = False
        self._parsing = False
        self._pending_request: tuple[RequestResponseCycle, Any] | None = None
        """A request whose head has been parsed, and its application."""
        self._reading_timer: asyncio.TimerHandle | None = self._abort_after(IDLE_SECONDS, "connecting")
        self._writing_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_reading_timer()
        self._stop_writing_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._parsing = True
        super().data_received(data)
        self._parsing = False
        if self._pending_request is not None:
            pending, self._pending_request = self._pending_request, None
            self._start(*pending)
        # Most requests arrive in one piece and need no timer.
        if self._receiving and self._reading_timer is None:
            self._reading_timer = self._abort_after(self._request_timeout, "sending")
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's head is too long.")

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        self._receiving = True
        self._stop_reading_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            raise HeadTooLongError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._receiving = False
        self._stop_reading_timer()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._parsing:
            # Most bodies arrive with the head: starting after the parser passes them on with the request.
            self._pending_request = cycle, app
        else:
            self._start(cycle, app)

    def _start(self, cycle: RequestResponseCycle, app: Any) -> None:
        extensions: dict[str, dict[str, object]] = {RAW_RESPONSE_EXTENSION: {}}
        if not cycle.more_body:
            extensions[REQUEST_BODY_EXTENSION] = {"body": bytes(cycle.body)}
        cast(Scope, cycle.scope)["extensions"] = extensions
        super()._start_asgi_task(cycle, partial(self._run_app, cycle, app))

    async def _run_app(
        self, cycle: RequestResponseCycle, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def send_raw_or_standard(message: Message) -> None:
            if message["type"] != RAW_RESPONSE_EXTENSION:
                await send(message)
                return
            if cycle.flow.write_paused and not cycle.disconnected:
                await cycle.flow.drain()
            if not cycle.disconnected:
                self._send_raw(cycle, message)

        await app(scope, receive, send_raw_or_standard)

    def _send_raw(self, cycle: RequestResponseCycle, message: Message) -> None:
        """Send a response whose headers are rendered; uvicorn would validate and write them one by one."""
        close = () if cycle.keep_alive else (CONNECTION_CLOSE,)
        server_headers = encode_headers_cached((*cycle.default_headers, *close))
        head = (STATUS_LINE[message["status"]], *message["head"], server_headers, b"\r\n")
        self._write_response(cycle, b"".join(head), *message["body"])

    def _write_response(self, cycle: RequestResponseCycle, *parts: bytes | memoryview) -> None:
        """Write the whole response and complete the cycle, as uvicorn does after the last body message."""
        cycle.response_started = cycle.response_complete = True
        self.transport.writelines(parts)
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def pause_writing(self) -> None:
        self._writing_timer = self._abort_after(self._write_timeout, "taking")
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stop_writing_timer()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        # Not `close`, which would wait until the client has received the rest of a response.
        self.transport.abort()

    def _stop_reading_timer(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _stop_writing_timer(self) -> None:
        if self._writing_timer is not None:
            self._writing_timer.cancel()

    def _abort_after(self, seconds: float, doing: str) -> asyncio.TimerHandle:
        """Schedule the end of the connection; `doing` is the metric's label."""
        return self.loop.call_later(seconds, self._abort, doing)

    def _abort(self, doing: str) -> None:
        SLOW_CLIENTS.labels(doing).inc()
        self.transport.abort()
