"""Sessions on Postgres. Reading and writing are different types, so that a signature shows where a query may run."""

import itertools
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.breaker import Breaker
from app.errors import unavailable

log = structlog.get_logger()

DATABASE = "the database"

LAG = text(
    "SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0"
    " ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0) END"
)
"""Seconds that a replica is behind; 0 on a primary and on a replica that has replayed all it received."""


class ReadSession(AsyncSession):
    """May be served by a replica, a little behind the primary."""


class WriteSession(AsyncSession):
    """On the primary, in one transaction that commits at the end of the block."""


@dataclass
class Replica:
    engine: AsyncEngine
    usable: bool = True
    checked_at: float = float("-inf")


class Database:
    def __init__(
        self,
        primary: AsyncEngine,
        replicas: Sequence[AsyncEngine] = (),
        *,
        max_lag: float = 5.0,
        check_every: float = 2.0,
    ) -> None:
        self.primary = primary
        self.breaker = Breaker("postgres", DATABASE)
        self._replicas = [Replica(engine) for engine in replicas]
        self._turn = itertools.count()
        self._max_lag = max_lag
        self._check_every = check_every

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A replica in turn, skipped while it fails or lags; the primary otherwise. Raises 503 as ApiError."""
        with self.breaker.guard(), database_errors():
            engine = await self._readable()
            async with ReadSession(engine, expire_on_commit=False) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """Raises 503 as ApiError."""
        with self.breaker.guard(), database_errors():
            async with WriteSession(self.primary, expire_on_commit=False) as session, session.begin():
                yield session

    async def close(self) -> None:
        for engine in (self.primary, *(replica.engine for replica in self._replicas)):
            await engine.dispose()

    async def _readable(self) -> AsyncEngine:
        first = next(self._turn)
        for offset in range(len(self._replicas)):
            replica = self._replicas[(first + offset) % len(self._replicas)]
            if await self._usable(replica):
                return replica.engine
        return self.primary

    async def _usable(self, replica: Replica) -> bool:
        now = time.monotonic()
        if now - replica.checked_at >= self._check_every:
            # Noted first: while one request checks, others go by the last finding.
            replica.checked_at = now
            replica.usable = await self._healthy(replica)
        return replica.usable

    async def _healthy(self, replica: Replica) -> bool:
        try:
            async with replica.engine.connect() as connection:
                lag = float(await connection.scalar(LAG) or 0)
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            log.warning("replica_failed", error=type(error).__name__)
            return False
        return lag <= self._max_lag


@contextmanager
def database_errors() -> Iterator[None]:
    """Turns a database that can't be reached or doesn't answer in time into a 503; other errors stay bugs."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if not is_unavailable(error):
            raise
        log.warning("database_unavailable", error=type(error).__name__)
        raise unavailable(DATABASE) from error


CONNECTION_CLASSES = ("08", "53", "57", "58")
"""SQLSTATE classes of a server that is unreachable, out of resources, shutting down or cancelling, or broken."""


def is_unavailable(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, (PoolTimeoutError, OSError))
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or sqlstate is None or sqlstate.startswith(CONNECTION_CLASSES)
