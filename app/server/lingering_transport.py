"""Lingering close: the client can still send after the last response, until it has closed its side too.

Closing a socket to which data arrives resets the connection, and a client that is still sending its request may lose
the response that says why it was refused.
"""

import asyncio

from app.server.coalescing_transport import CoalescingTransport


class LingeringTransport(CoalescingTransport):
    """Wrap a transport; after `close`, its protocol has to ignore what arrives."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Give the client `seconds` after `close` to receive the rest of a response and to close its side."""
        super().__init__(transport, loop)
        self._call_later, self._seconds = loop.call_later, seconds
        self._timer: asyncio.TimerHandle | None = None

    def is_closing(self) -> bool:
        return self._timer is not None or self._transport.is_closing()

    def close(self) -> None:
        """Send what is buffered, then the end; read on until the client's end, or its time is over."""
        if not self.is_closing():
            self._flush()
            self._transport.write_eof()
            self._transport.resume_reading()
            self._timer = self._call_later(self._seconds, self._transport.abort)

    def end(self) -> None:
        """Forget the timer: the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
