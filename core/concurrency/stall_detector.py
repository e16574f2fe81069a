"""Detection of a server that stalls: it accepts what is sent and does not respond.

A call has seconds, because it may be slow. So while callers wait for longer than the patience, the server is probed; if
it does not respond to that either, all of them fail at once. On a busy machine this process may be what is late: only
time counts in which its event loop ran.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from core.concurrency.tasks import cancel_and_wait
from core.concurrency.time_limit import time_limit

TICK_SECONDS = 0.05
"""A tick that takes twice as long does not count: the event loop was late, which says nothing about the server."""


class ServerStalledError(OSError):
    """The server responds neither to the call nor to a probe."""


class StallDetector:
    def __init__(
        self,
        probe: Callable[[], Coroutine[Any, Any, None]],
        on_stall: Callable[[int], None],
        *,
        patience: float,
        probe_seconds: float,
    ) -> None:
        """`probe` returns when the server has responded, or raises OSError; it has `probe_seconds`.

        `on_stall` gets the number of calls that fail. `patience` is the time in seconds that a caller waits before the
        server is probed, and between two probes.
        """
        self._probe = probe
        self._on_stall = on_stall
        self._patience = patience
        self._probe_seconds = probe_seconds
        self._waiting: set[asyncio.Timeout] = set()
        self._stalled: set[asyncio.Timeout] = set()
        self._probing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self, seconds: float | None = None, *, patience: float | None = None) -> AsyncIterator[None]:
        """Limit the block to so many seconds, and end it at once when the server stalls.

        `patience` replaces the detector's for this caller, who may have waited for another server before.
        Raises: TimeoutError, ServerStalledError.
        """
        patience = self._patience if patience is None else patience
        timer = asyncio.get_running_loop().call_later(patience, self._start)
        try:
            async with time_limit(seconds) as limit:
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

    async def _responds(self) -> bool:
        probe = asyncio.create_task(self._probe())
        left = self._probe_seconds
        try:
            while not probe.done() and left > 0:
                left -= await _tick(probe)
            if probe.done():
                probe.result()
            return probe.done()
        except OSError:
            return False
        finally:
            await cancel_and_wait([probe])

    def _fail_all(self) -> None:
        limits = [limit for limit in self._waiting if not limit.expired()]
        self._on_stall(len(limits))
        now = asyncio.get_running_loop().time()
        for limit in limits:
            self._stalled.add(limit)
            limit.reschedule(now)


async def _tick(probe: asyncio.Task[None]) -> float:
    """Wait for the probe for a tick; return the seconds that count."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.wait([probe], timeout=TICK_SECONDS)
    seconds = loop.time() - began
    return seconds if seconds < 2 * TICK_SECONDS else 0
