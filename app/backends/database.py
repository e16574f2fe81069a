"""Sessions on Postgres. Reading and writing are different types, so that a signature shows where a query may run."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.backends.circuit_breaker import CircuitBreaker
from app.backends.replica_pool import ReplicaPool
from core.errors import BackendUnavailableError

log = structlog.get_logger()

DATABASE_LABEL = "the database"


class ReadSession(AsyncSession):
    """May be served by a replica, a little behind the primary."""


class WriteSession(AsyncSession):
    """On the primary, in one transaction that commits at the end of the block."""


class Database:
    def __init__(self, primary: AsyncEngine, replicas: Sequence[AsyncEngine] = (), *, max_lag: float = 5.0) -> None:
        self.primary = primary
        self.breaker = CircuitBreaker("postgres", DATABASE_LABEL)
        self._replicas = ReplicaPool(replicas, max_lag=max_lag)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A replica in turn, skipped while it fails or lags; the primary otherwise. Raises BackendUnavailableError."""
        with self.breaker.protect(), map_database_errors():
            async with await self._read_session() as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """Raises BackendUnavailableError."""
        with self.breaker.protect(), map_database_errors():
            async with WriteSession(self.primary, expire_on_commit=False) as session, session.begin():
                yield session

    async def close(self) -> None:
        await self._replicas.close()
        await self.primary.dispose()

    async def _read_session(self) -> ReadSession:
        while (replica := self._replicas.pick()) is not None:
            session = ReadSession(replica, expire_on_commit=False)
            try:
                await session.connection()
            except (DBAPIError, OSError) as error:
                log.warning("replica_failed", error=type(error).__name__)
                await session.close()
                self._replicas.failed(replica)
            else:
                return session
        return ReadSession(self.primary, expire_on_commit=False)


@contextmanager
def map_database_errors() -> Iterator[None]:
    """Raise BackendUnavailableError when the database is unreachable or too slow. Other errors are bugs and pass."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if not is_unavailable(error):
            raise
        log.warning("database_unavailable", error=type(error).__name__)
        raise BackendUnavailableError(DATABASE_LABEL) from error


TRANSIENT_SQLSTATE_CLASSES = ("08", "25006", "28", "3D", "40", "53", "55", "57", "58")
"""SQLSTATE classes of a server that is unreachable, out of resources, shutting down or cancelling, or broken; of one
that takes no writes (25006), lets nobody in, or has no such database, while it is being restored or promoted; and of
one that gave up a transaction for another's sake, as replicas do for what comes from the primary."""


def is_unavailable(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, (PoolTimeoutError, OSError))
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or sqlstate is None or sqlstate.startswith(TRANSIENT_SQLSTATE_CLASSES)
