"""Write coalescing: send a response's headers together with its body, in one packet and one system call."""

import asyncio
from collections.abc import Iterable
from typing import Any


class CoalescingTransport:
    """Wrap a transport; a first `write` is buffered until the next one, or until the end of this loop iteration."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._buffered: bytes | None = None

    def write(self, data: bytes) -> None:
        """Send `data`; without effect on a closed connection, as `writelines`."""
        if self._buffered is None:
            self._buffered = data
            self._call_soon(self._flush)
        else:
            self.writelines((data,))

    def writelines(self, parts: Iterable[bytes | memoryview]) -> None:
        if self._buffered is not None:
            parts, self._buffered = (self._buffered, *parts), None
        if not self._transport.is_closing():
            self._transport.writelines(parts)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._buffered is not None:
            if not self._transport.is_closing():
                self._transport.write(self._buffered)
            self._buffered = None

    # The others that the protocol uses; `__getattr__` would slow down every access to an attribute.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def abort(self) -> None:
        self._transport.abort()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
