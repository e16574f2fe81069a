"""Detection of a database that stalls. A busy machine, a slow statement and a lock are no stalls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.backends.blocked_sessions import BlockedSessions, LockHolder
from app.backends.probe_connection import ProbeConnection
from core.concurrency.stall_detector import ServerStalledError, StallDetector
from core.concurrency.tasks import cancel_and_wait

log = structlog.get_logger()

PATIENCE_SECONDS = 1.0
"""Seconds that a caller waits before the server is probed, and pause between two probes."""
PROBE_SECONDS = 1.25
"""Time that the server has to respond to a probe."""


class StallProbe:
    def __init__(self, engine: AsyncEngine, on_stall: Callable[[], None]) -> None:
        """`on_stall` is called when the server does not respond to a probe."""
        # A pool of its own: all connections of the other one may wait for the server.
        self._connection = ProbeConnection(engine.sync_engine.pool.recreate())
        self._on_stall = on_stall
        self._detector = StallDetector(
            self._probe, self._report_stall, patience=PATIENCE_SECONDS, probe_seconds=PROBE_SECONDS
        )
        self._blocked = BlockedSessions(self._connection)
        self._reading: asyncio.Task[None] | None = None

    @property
    def lock_holder(self) -> LockHolder | None:
        """A session that holds a lock which ours wait for, if there is one."""
        return self._blocked.holder

    @asynccontextmanager
    async def watch(self, session: AsyncSession, *, patience: float | None = None) -> AsyncIterator[None]:
        """Raise ServerStalledError in the block once it waits for a server that stalls, and drop the session's
        connection."""
        try:
            async with self._detector.watch(patience=patience):
                yield
        except ServerStalledError:
            # A rollback would wait for the server, too.
            await session.invalidate()
            raise

    def watch_call(self, *, patience: float | None = None) -> AbstractAsyncContextManager[None]:
        """Watch as `watch` does: the call in the block drops its connection itself when it is cancelled."""
        return self._detector.watch(patience=patience)

    async def close(self) -> None:
        await self._detector.close()
        if self._reading is not None:
            await cancel_and_wait([self._reading])
        self._connection.close()

    def _report_stall(self, waiting: int) -> None:
        log.warning("database_stalled", waiting=waiting)
        self._on_stall()

    async def _probe(self) -> None:
        """Return when the server has responded; then have the locks read. Raises: OSError."""
        await self._connection.ask()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._blocked.read())
