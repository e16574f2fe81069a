"""Our sessions that wait for a lock, and the sessions that hold it."""

from dataclasses import dataclass
from time import monotonic

import structlog

from app.backends.probe_connection import ProbeConnection

log = structlog.get_logger()

CURRENT_SECONDS = 3.0
"""Time for which what was read is taken for the present state; it is read about once a second while callers wait."""
READ_SECONDS = 2.0

HOLDERS = """
WITH blocked AS MATERIALIZED (
  SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'
    AND datname = current_database() AND application_name = current_setting('application_name')
), held AS MATERIALIZED (
  SELECT pid, relation::regclass::text || ' ' || mode AS name,
    relation IN (SELECT relation FROM pg_locks JOIN blocked USING (pid) WHERE NOT granted) AS is_wanted
  FROM pg_locks WHERE locktype = 'relation' AND granted AND relation::regclass::text NOT LIKE 'pg\\_%'
)
SELECT pid, usename::text AS role, application_name AS application, state,
  round(extract(epoch FROM clock_timestamp() - xact_start))::integer AS transaction_seconds,
  (SELECT coalesce(string_agg(DISTINCT name, ', ') FILTER (WHERE is_wanted), string_agg(DISTINCT name, ', '), 'a lock')
   FROM held WHERE held.pid = holder.pid) AS locks
FROM pg_stat_activity AS holder
WHERE pid IN (SELECT unnest(pg_blocking_pids(pid)) FROM blocked)
ORDER BY wait_event_type IS NOT DISTINCT FROM 'Lock', pid LIMIT 5
"""
"""Who holds the locks that our sessions wait for, and who waits before them; without statements, which contain
personal data. Locks of tables that our sessions wait for, if there are any, else all: a row's is not in pg_locks."""


@dataclass(frozen=True)
class LockHolder:
    pid: int
    locks: str
    """Tables and modes, such as `countries AccessExclusiveLock`."""


class BlockedSessions:
    def __init__(self, connection: ProbeConnection) -> None:
        self._connection = connection
        self._holders: dict[int, LockHolder] = {}
        self._read_at = -CURRENT_SECONDS

    @property
    def holder(self) -> LockHolder | None:
        """A session that ours wait for now, if there is one."""
        if monotonic() - self._read_at > CURRENT_SECONDS:
            return None
        return next(iter(self._holders.values()), None)

    async def read(self) -> None:
        """Read who holds the locks, and log each holder once."""
        try:
            rows = await self._connection.fetch(HOLDERS, seconds=READ_SECONDS)
        except OSError as error:
            log.info("locks_not_read", error=type(error).__name__)
            return
        for row in rows:
            if row["pid"] not in self._holders:
                log.warning("database_blocked", **row)
        self._holders = {row["pid"]: LockHolder(row["pid"], row["locks"]) for row in rows}
        self._read_at = monotonic()
