"""Detection of a database that stalls, and of sessions that wait for a lock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util import greenlet_spawn

from app.backends.stall_detector import ServerStalledError, StallDetector

log = structlog.get_logger()

PATIENCE_SECONDS = 1.0
"""Seconds that a caller waits before the server is probed, and pause between two probes."""
PROBE_SECONDS = 0.75
"""Timeout of a probe, including the connection."""

BLOCKED = """
SELECT blocked.pid, blocker.pid, blocker.usename::text, blocker.application_name, blocker.state,
  round(extract(epoch FROM clock_timestamp() - blocker.xact_start))::integer,
  (SELECT string_agg(DISTINCT relation::regclass::text || ' ' || mode, ', ') FROM pg_locks
   WHERE pg_locks.pid = blocker.pid AND relation::regclass::text NOT LIKE 'pg_%' AND granted AND locktype = 'relation')
FROM pg_stat_activity AS blocked CROSS JOIN unnest(pg_blocking_pids(blocked.pid)) AS blocking(pid)
JOIN pg_stat_activity AS blocker ON blocker.pid = blocking.pid
WHERE blocked.datname = current_database() AND blocked.application_name = 'smarttrip'
  AND blocked.wait_event_type = 'Lock'
ORDER BY 2 LIMIT 5
"""
"""Our sessions that wait for a lock, and who holds it; without statements, which contain personal data."""


class StallProbe:
    def __init__(self, engine: AsyncEngine, on_stall: Callable[[], None]) -> None:
        """`on_stall` is called when the server does not respond to a probe."""
        # A pool of its own: all connections of the other one may wait for the server.
        self._pool = engine.sync_engine.pool.recreate()
        self._on_stall = on_stall
        self._detector = StallDetector(self._responds, self._report_stall, patience=PATIENCE_SECONDS)
        self._reported: set[int] = set()

    @asynccontextmanager
    async def watch(self, session: AsyncSession) -> AsyncIterator[None]:
        """Raise ServerStalledError in the block once it waits for a server that stalls, and drop the session's
        connection."""
        try:
            async with self._detector.watch():
                yield
        except ServerStalledError:
            # A rollback would wait for the server, too.
            await session.invalidate()
            raise

    async def close(self) -> None:
        await self._detector.close()

    def _report_stall(self, waiting: int) -> None:
        log.warning("database_stalled", waiting=waiting)
        self._on_stall()

    async def _responds(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                self._report(await greenlet_spawn(self._read_blocked))
        except DBAPIError:
            # Such as "too many connections": that is a response.
            return True
        except OSError:
            return False
        return True

    def _read_blocked(self) -> list[tuple[Any, ...]]:
        connection = self._pool.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(BLOCKED)
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            connection.invalidate()

    def _report(self, rows: list[tuple[Any, ...]]) -> None:
        """Log who holds the locks that our sessions wait for, once for each holder."""
        for _, pid, role, application, state, seconds, held in rows:
            if pid not in self._reported:
                details = {"pid": pid, "role": role, "application": application, "state": state}
                log.warning("database_blocked", **details, transaction_seconds=seconds, locks=held)
        self._reported = {pid for _, pid, *_ in rows}
