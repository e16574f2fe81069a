"""Lingering close: the client can still send after the last response, until it has closed its side too.

Closing a socket to which data arrives resets the connection, and a client that is still sending its request may lose
the response that says why it was refused.
"""

import asyncio
from collections.abc import Callable

from app.server.coalescing_transport import CoalescingTransport


class LingeringTransport(CoalescingTransport):
    """Wrap a transport; after `close`, its protocol has to ignore what arrives."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        is_receiving: Callable[[], bool],
    ) -> None:
        """Give a client that `is_receiving` shows to be sending `seconds` after `close` to close its side."""
        super().__init__(transport, loop)
        self._call_later, self._seconds, self._is_receiving = loop.call_later, seconds, is_receiving
        self._timer: asyncio.TimerHandle | None = None

    def is_closing(self) -> bool:
        return self._timer is not None or self._transport.is_closing()

    def close(self) -> None:
        """Send what is buffered, then the end; if the client is sending, read on until it ends or its time is over."""
        if not self._is_receiving():
            super().close()
        elif not self.is_closing():
            self._flush()
            self._transport.write_eof()
            self._transport.resume_reading()
            self._timer = self._call_later(self._seconds, self._transport.abort)

    def end(self) -> None:
        """Forget the timer: the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
