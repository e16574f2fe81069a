"""Read replicas of the database: only those that work and lag little are used."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client import Gauge
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.backends.replica_identity import ServerState, find_lag, find_mismatch, read_state
from core.metrics.labels import with_values

log = structlog.get_logger()

CHECK_TIMEOUT = 1.0
"""Timeout in seconds of a check of a replica's lag."""

CHECK_VALID_SECONDS = 5.0
"""Seconds for which the result of a check is valid; after a longer pause reads go to the primary."""

MAX_LAG_SECONDS = 5.0
"""Lag at which a replica is not used."""

REPLICA_BEHIND_SECONDS = MAX_LAG_SECONDS + CHECK_VALID_SECONDS
"""How old a replica's state can be while it is still used."""

LAG = Gauge(
    "smarttrip_replica_lag_seconds",
    "Lag of a replica at its last check; infinite if it did not respond",
    ["pool"],
    multiprocess_mode="livemax",
)
USABLE = Gauge("smarttrip_replicas_usable", "Replicas that serve reads", multiprocess_mode="livemin")


def replica_name(index: int) -> str:
    """Return the name, in metrics, of the replica with this index in the settings."""
    return f"replica_{index + 1}"


@dataclass(eq=False)
class Replica:
    name: str
    """Name of its pool in metrics."""
    engine: AsyncEngine
    usable: bool = False
    mismatch: str | None = None
    """Why it is no replica of the primary."""
    checked_at: float = float("-inf")
    check: asyncio.Task[None] | None = None


class ReplicaPool:
    """Checks its replicas in the background, so that no request waits for one that is down.

    A replica is not used before its first check.
    """

    def __init__(
        self,
        engines: Sequence[AsyncEngine],
        *,
        primary: AsyncEngine,
        max_lag: float = MAX_LAG_SECONDS,
        check_every: float = 2.0,
    ) -> None:
        self._primary = primary
        self._primary_state: ServerState | None = None
        self._primary_read_at = 0.0
        """When that state was read (monotonic)."""
        self._replicas = [Replica(replica_name(number), engine) for number, engine in enumerate(engines)]
        with_values(LAG, [replica.name for replica in self._replicas])
        self._round_robin = itertools.cycle(self._replicas)
        self._max_lag = max_lag
        self._check_every = check_every

    def pick(self) -> AsyncEngine | None:
        """Return the next usable replica, round robin, or None if no replica is usable."""
        for replica in itertools.islice(self._round_robin, len(self._replicas)):
            self._check_if_due(replica)
            if replica.usable and time.monotonic() - replica.checked_at < CHECK_VALID_SECONDS:
                return replica.engine
        return None

    def mark_failed(self, engine: AsyncEngine) -> None:
        """Do not use this replica before its next check."""
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
            # Not in the context of the request that found it due.
            replica.check = asyncio.create_task(self._check(replica), context=Context())

    async def _check(self, replica: Replica) -> None:
        # The result holds for the replica as it is now, however long the primary takes.
        checked_at = time.monotonic()
        mismatch: str | None = None
        lag: timedelta | None = None
        try:
            async with asyncio.timeout(CHECK_TIMEOUT), replica.engine.connect() as connection:
                state = await read_state(connection)
            same_moment = await self._read_primary()
            mismatch = find_mismatch(state, self._primary_state, same_moment=same_moment)
            if self._primary_state is not None:
                lag = find_lag(state, self._clock_of(self._primary_state))
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            log.warning("replica_failed", error=type(error).__name__)
        seconds = float("inf") if lag is None else lag.total_seconds()
        usable = seconds <= self._max_lag and mismatch is None
        if usable != replica.usable or mismatch != replica.mismatch:
            log.warning("replica", host=replica.engine.url.host, usable=usable, lag=seconds, mismatch=mismatch)
        replica.usable, replica.mismatch, replica.checked_at = usable, mismatch, checked_at
        LAG.labels(replica.name).set(seconds)
        USABLE.set(sum(replica.usable for replica in self._replicas))

    async def _read_primary(self) -> bool:
        """Read the primary's state; return False and keep the last one if that fails: replicas serve meanwhile."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT), self._primary.connect() as connection:
                self._primary_state = await read_state(connection)
                self._primary_read_at = time.monotonic()
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            log.warning("primary_not_compared", error=type(error).__name__)
            return False
        return True

    def _clock_of(self, primary: ServerState) -> datetime:
        """Return the time by the clock of the primary, although it may be down."""
        return primary.clock + timedelta(seconds=time.monotonic() - self._primary_read_at)
