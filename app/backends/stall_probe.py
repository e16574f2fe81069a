"""Detection of a database that stalls: it accepts what is sent and does not respond.

A statement has seconds, because it may be slow. So while callers wait for longer than `PATIENCE_SECONDS`, the server is
probed on a connection of its own; if it does not respond to that either, all of them fail at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util import greenlet_spawn

from core.tasks import cancel_and_wait

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
        self._waiting: set[asyncio.Timeout] = set()
        self._probing: asyncio.Task[None] | None = None
        self._reported: set[int] = set()

    @asynccontextmanager
    async def watch(self, session: AsyncSession) -> AsyncIterator[None]:
        """Raise TimeoutError in the block once it waits for a server that stalls, and drop the session's connection."""
        timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._start)
        try:
            async with asyncio.timeout(None) as limit:
                self._waiting.add(limit)
                try:
                    yield
                finally:
                    self._waiting.discard(limit)
        except TimeoutError:
            if limit.expired():
                # A rollback would wait for the server, too.
                await session.invalidate()
            raise
        finally:
            timer.cancel()

    async def close(self) -> None:
        if self._probing is not None:
            await cancel_and_wait([self._probing])

    def _start(self) -> None:
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe_while_waiting())

    async def _probe_while_waiting(self) -> None:
        while self._waiting:
            if not await self._responds():
                log.warning("database_stalled", waiting=len(self._waiting))
                self._on_stall()
                now = asyncio.get_running_loop().time()
                for limit in self._waiting:
                    limit.reschedule(now)
                return
            await asyncio.sleep(PATIENCE_SECONDS)

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
