"""Detection of a server that stalls: it accepts what is sent and does not respond.

A call has seconds, because it may be slow. So while callers wait for longer than the patience, the server is probed on
a connection of its own; if it does not respond to that either, all of them fail at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from core.concurrency.tasks import cancel_and_wait


class ServerStalledError(OSError):
    """The server responds neither to the call nor to a probe."""


class StallDetector:
    def __init__(
        self, responds: Callable[[], Awaitable[bool]], on_stall: Callable[[int], None], *, patience: float
    ) -> None:
        """`responds` probes the server; `on_stall` gets the number of calls that fail.

        `patience` is the time in seconds that a caller waits before the server is probed, and between two probes.
        """
        self._responds = responds
        self._on_stall = on_stall
        self._patience = patience
        self._waiting: set[asyncio.Timeout] = set()
        self._stalled: set[asyncio.Timeout] = set()
        self._probing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self, seconds: float | None = None) -> AsyncIterator[None]:
        """Limit the block to so many seconds, and end it at once when the server stalls.

        Raises: TimeoutError, ServerStalledError.
        """
        timer = asyncio.get_running_loop().call_later(self._patience, self._start)
        try:
            async with asyncio.timeout(seconds) as limit:
                self._waiting.add(limit)
                try:
                    yield
                finally:
                    self._waiting.discard(limit)
        except TimeoutError:
            if limit in self._stalled:
                raise ServerStalledError("the server stalls") from None
            raise
        finally:
            self._stalled.discard(limit)
            timer.cancel()

    def cancel(self) -> None:
        """End the probe under way."""
        if self._probing is not None:
            self._probing.cancel()

    async def close(self) -> None:
        """End the probe under way, and wait for its end."""
        if self._probing is not None:
            await cancel_and_wait([self._probing])

    def _start(self) -> None:
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe_while_waiting())

    async def _probe_while_waiting(self) -> None:
        while self._waiting:
            if not await self._responds():
                self._fail_all()
                return
            await asyncio.sleep(self._patience)

    def _fail_all(self) -> None:
        limits = [limit for limit in self._waiting if not limit.expired()]
        self._on_stall(len(limits))
        now = asyncio.get_running_loop().time()
        for limit in limits:
            self._stalled.add(limit)
            limit.reschedule(now)
