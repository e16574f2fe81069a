"""Which replicas of the database may be read from just now."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

log = structlog.get_logger()

CHECK_TIMEOUT = 1.0
"""Seconds that a replica may take to tell its lag."""

CHECK_VALID_SECONDS = 5.0
"""Seconds after a check: whoever reads after a longer rest reads from the primary."""

LAG_QUERY = text(
    "SELECT CASE"
    " WHEN NOT pg_is_in_recovery() THEN 0"
    # Nothing more comes to one that hears nothing, however complete it looks.
    " WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0"
    " ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 'Infinity') END"
)
"""Seconds that the server is behind; 0 on a primary."""


@dataclass(eq=False)
class Replica:
    engine: AsyncEngine
    usable: bool = False
    checked_at: float = float("-inf")
    check: asyncio.Task[None] | None = None


class ReplicaPool:
    """Checked in the background, so that nobody waits for one that fails; not used before the first check."""

    def __init__(self, engines: Sequence[AsyncEngine], *, max_lag: float = 5.0, check_every: float = 2.0) -> None:
        self._replicas = [Replica(engine) for engine in engines]
        self._turn = itertools.cycle(self._replicas)
        self._max_lag = max_lag
        self._check_every = check_every

    def pick(self) -> AsyncEngine | None:
        """In turn; None while none is usable."""
        for replica in itertools.islice(self._turn, len(self._replicas)):
            self._check_if_due(replica)
            if replica.usable and time.monotonic() - replica.checked_at < CHECK_VALID_SECONDS:
                return replica.engine
        return None

    def failed(self, engine: AsyncEngine) -> None:
        """It is not used before its next check."""
        for replica in self._replicas:
            if replica.engine is engine:
                replica.usable, replica.checked_at = False, time.monotonic()

    async def close(self) -> None:
        checks = [replica.check for replica in self._replicas if replica.check]
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        for replica in self._replicas:
            await replica.engine.dispose()

    def _check_if_due(self, replica: Replica) -> None:
        running = replica.check is not None and not replica.check.done()
        if not running and time.monotonic() - replica.checked_at >= self._check_every:
            replica.check = asyncio.create_task(self._check(replica))

    async def _check(self, replica: Replica) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT), replica.engine.connect() as connection:
                lag = float(await connection.scalar(LAG_QUERY))
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            log.warning("replica_failed", error=type(error).__name__)
            lag = float("inf")
        usable = lag <= self._max_lag
        if usable != replica.usable:
            log.warning("replica", host=replica.engine.url.host, usable=usable, lag=lag)
        replica.usable, replica.checked_at = usable, time.monotonic()
