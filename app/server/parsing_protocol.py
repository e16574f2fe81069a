"""HTTP/1.1 protocol: uvicorn's, with exact framing, bounded pipelining, and errors sent in the order of the requests.

It overrides private methods of uvicorn, which is therefore pinned to a minor version.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.server.framing import RequestFraming
from app.server.lingering_transport import LingeringTransport
from app.server.parsing_turns import ParsingTurns
from app.server.request_cycle import RequestCycle
from app.server.request_flow import RequestFlow
from app.server.request_head import CHUNKED, RequestError, body_length, decode_path, malformed_head

MAX_PIPELINED = 16
"""Requests of a connection that wait for the one before them; what follows is not parsed until one has been served."""


class ParsingProtocol(HttpToolsProtocol):
    flow: RequestFlow

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        seconds = self.app_state["settings"].body_seconds
        self._lingering = LingeringTransport(transport, self.loop, seconds, self._is_receiving)
        super().connection_made(cast(asyncio.Transport, self._lingering))
        self.flow = RequestFlow(self.transport)
        self._framing = RequestFraming()
        self._turns: ParsingTurns = self.app_state["parsing_turns"]
        self._unparsed, self._unparsed_start = b"", 0
        """Received data, and the position in it from which it has not been parsed."""
        self._is_upgrade = False
        """Whether the parser takes the current request for an upgrade, and would skip its body."""
        self._is_ending = False
        """Whether all further data is ignored."""
        self._last_response: bytes | None = None
        """The response to a malformed request, until the responses to those before it have been sent."""
        self._parsing = False
        self._pending_request: tuple[RequestResponseCycle, Any] | None = None
        """A request whose head has been parsed, and its application."""
        self._current: RequestResponseCycle | None = None
        """The request that the application serves or has served last."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the requests that wait, and tell the application about the one it is serving."""
        self._is_ending, self._unparsed, self._last_response = True, b"", None
        self._lingering.end()
        for cycle in self._unfinished_cycles():
            self._disconnect(cycle)
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_ending or self.transport.is_closing():
            return
        if self._unparsed:
            self._unparsed, self._unparsed_start = self._unparsed[self._unparsed_start :] + data, 0
        else:
            self._parse(data, 0)

    def _is_receiving(self) -> bool:
        """Return whether the client is sending: a part of a request, or what is ignored."""
        return bool(self._framing.head or self._unparsed) or self._is_ending

    def _parse(self, data: bytes, start: int) -> None:
        """Parse `data` from `start`, then start the application for the request whose turn it is."""
        self._parsing = True
        try:
            self._parse_pieces(data, start)
        except RequestError as error:
            self._end_with(self.error_bytes(error))
        except HttpParserError as error:
            cause = error.__context__
            if not isinstance(cause, RequestError):
                cause = malformed_head(self._framing.head) if self._framing.is_in_head else RequestError(400)
            self._end_with(self.error_bytes(cause))
        self._parsing = False
        if self._pending_request is not None:
            cycle, app = self._pending_request
            self._pending_request = None
            self._start(cycle, app)
        if self._framing.head and not self._is_ending:
            self._wait_for_rest()

    def _parse_pieces(self, data: bytes, start: int) -> None:
        framing, length, requests = self._framing, len(data), 0
        while start < length:
            if not framing.head:
                if self.cycle is not None and not self.cycle.keep_alive:
                    # The connection is closed after this request, so none can follow.
                    self._is_ending = True
                    return
                if requests >= MAX_PIPELINED or len(self.pipeline) >= MAX_PIPELINED:
                    self._suspend(data, start)
                    return
                requests += 1
            end = framing.piece_end(data, start)
            try:
                self.parser.feed_data(data[start:end])
            except HttpParserUpgrade:
                self._parse_without_upgrade()
            if framing.piece:
                framing.advance()
            start = end

    def _suspend(self, data: bytes, start: int) -> None:
        """Stop parsing and reading until one more of the requests has been served."""
        self._unparsed, self._unparsed_start = data, start
        self.flow.has_unparsed = True
        self.flow.pause_reading()
        if len(self.pipeline) < MAX_PIPELINED:
            # Others have their turn after each slice of a long pipeline.
            self._turns.add(self)

    def resume_parsing(self) -> None:
        if not self._unparsed or self.transport.is_closing():
            return
        data, self._unparsed = self._unparsed, b""
        self.flow.has_unparsed = False
        self.flow.resume_reading()
        self._parse(data, self._unparsed_start)

    def _parse_without_upgrade(self) -> None:
        """Parse the current request's head again without `Upgrade`.

        We change to no other protocol, as is every server's right, so the body has to be read as that of any request.
        """
        self._is_upgrade = False
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.feed_data(b"".join((*lines, b"\r\n")))

    def on_headers_complete(self) -> None:
        """Start or queue the request. Replaces uvicorn's method, which leaves room for a change to another protocol."""
        length = body_length(self._framing.head, self.headers)
        if self.parser.should_upgrade():
            self._is_upgrade = True
            return
        previous, self.cycle = self.cycle, self._create_cycle()
        if previous is None or previous.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        if length:
            self._framing.start_body(length)
        if length == CHUNKED:
            # The parser reports trailers as headers: into another list than that of the request's scope.
            self.headers = []

    def _create_cycle(self) -> RequestCycle:
        scope, url, version = self.scope, parse_url(self.url), self.parser.get_http_version()
        scope["http_version"] = version
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["path"] = decode_path(url.path)
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        is_1_0 = version == "1.0"
        return RequestCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            # A client or proxy of version 1.0 would take a 100 for the response.
            expect_100_continue=self.expect_100_continue and not is_1_0,
            keep_alive=not is_1_0 and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def on_message_complete(self) -> None:
        """Complete the request's body. Replaces uvicorn's method, which asks again whether the protocol changes."""
        if self._is_upgrade:
            return
        self._framing.end_message()
        self._end_receiving()
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not self._admit(cast(RequestCycle, cycle)):
            return
        self._current = cycle
        if self._parsing:
            # Start once the parser returns: a body that came with the head is then complete.
            self._pending_request = cycle, app
        else:
            self._start(cycle, app)

    def _admit(self, cycle: RequestCycle) -> bool:
        """Return whether the application may serve the request; respond to one that it may not."""
        return True

    def _start(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let the application serve the request. Its body is complete if it came with the head."""
        self._run(cycle, app)

    def _run(self, cycle: RequestResponseCycle, app: Any) -> asyncio.Task[None]:
        self._prepare(cycle)
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        return task

    def _prepare(self, cycle: RequestResponseCycle) -> None:
        """Do what is due before the application serves a request."""

    def on_response_complete(self) -> None:
        """Start the next request. Replaces uvicorn's method, which sets a timer after each response."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._become_idle()
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_response is not None:
            self._send_last(self._last_response)
        elif not self._unparsed:
            self._become_idle()
        if self._unparsed:
            self._turns.add(self)

    def _become_idle(self) -> None:
        """Do what is due when all requests that were received have been served."""

    def _wait_for_rest(self) -> None:
        """Do what is due when a part of a request has been received."""

    def _end_receiving(self) -> None:
        """Do what is due when a request has been received."""

    def _end_with(self, response: bytes) -> None:
        """Send this response to the request that is being received, and close the connection.

        It is sent after the responses to the requests before. If the response to this very request has been
        started already, nothing is sent: it would be a second one.
        """
        self._is_ending, self._unparsed, self.flow.has_unparsed = True, b"", False
        if not self._framing.is_in_head and self._drop_unfinished_request():
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:
            self._send_last(response)
        else:
            self._last_response = response

    def _drop_unfinished_request(self) -> bool:
        """Forget the request whose body is being received; return whether its response has been started already."""
        cycle = self.cycle
        if self._pending_request is not None and self._pending_request[0] is cycle:
            self._pending_request = None
            cycle.response_complete = True
        elif self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else cast(RequestResponseCycle, self._current)
        else:
            self._disconnect(cycle)
            is_started = cycle.response_started
            cycle.response_complete = True
            return is_started
        return False

    def _send_last(self, response: bytes) -> None:
        self._last_response = None
        self.transport.write(response)
        self.transport.close()

    def error_bytes(self, error: RequestError) -> bytes:
        """Return the whole response to a malformed request, with `Connection: close`."""
        raise NotImplementedError

    def _unfinished_cycles(self) -> Iterator[RequestResponseCycle]:
        if self._current is not None and not self._current.response_complete:
            yield self._current
        for cycle, _ in self.pipeline:
            yield cycle

    @staticmethod
    def _disconnect(cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        cycle.message_event.set()
