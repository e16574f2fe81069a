"""A transport that sends the head of an answer together with its body: one packet and one system call, not two."""

import asyncio
from collections.abc import Iterable
from typing import Any


class CoalescingTransport:
    """Passes everything on, but what is written first waits for what follows it in the same turn of the loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._soon = loop.call_soon
        self._held: bytes | None = None

    def write(self, data: bytes) -> None:
        if self._held is None:
            self._held = data
            self._soon(self._flush)
        else:
            self.writelines((data,))

    def writelines(self, parts: Iterable[bytes | memoryview]) -> None:
        if self._held is not None:
            parts, self._held = (self._held, *parts), None
        self._transport.writelines(parts)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held is not None:
            self._transport.write(self._held)
            self._held = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
