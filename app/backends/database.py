"""Sessions on Postgres. Read and write sessions have different types: a signature shows where a query may run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.backends.circuit_breaker import CircuitBreaker
from app.backends.labels import DATABASE_LABEL
from app.backends.replica_pool import ReplicaPool
from core.errors import BackendUnavailableError, TransactionConflictError
from core.transactions import is_conflict, retry_conflicts

log = structlog.get_logger()

Result = TypeVar("Result")


class ReadSession(AsyncSession):
    """A session that may run on a replica, which lags a little behind the primary."""


class WriteSession(AsyncSession):
    """A session on the primary, in one transaction that commits at the end of the block."""


class Database:
    def __init__(self, primary: AsyncEngine, replicas: Sequence[AsyncEngine] = (), *, max_lag: float = 5.0) -> None:
        self.primary = primary
        self.breaker = CircuitBreaker("postgres", DATABASE_LABEL)
        self._replicas = ReplicaPool(replicas, primary=primary, max_lag=max_lag)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """Open a session on the next usable replica, or on the primary if there is none.

        Raises: BackendUnavailableError.
        """
        with self.breaker.protect(), map_database_errors():
            async with await self._read_session() as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """Open a write session. Raises: BackendUnavailableError."""
        with self.breaker.protect(), map_database_errors():
            async with WriteSession(self.primary, expire_on_commit=False) as session, session.begin():
                yield session

    async def transact(self, work: Callable[[WriteSession], Awaitable[Result]]) -> Result:
        """Run `work` in a transaction, and repeat it where Postgres rolls it back in favour of another one.

        `work` must have no effects outside of its session. Raises: BackendUnavailableError.
        """

        async def attempt() -> Result:
            async with WriteSession(self.primary, expire_on_commit=False) as session, session.begin():
                return await work(session)

        with self.breaker.protect(), map_database_errors():
            return await retry_conflicts()(attempt)

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
                self._replicas.mark_failed(replica)
            else:
                return session
        return ReadSession(self.primary, expire_on_commit=False)


@contextmanager
def map_database_errors() -> Iterator[None]:
    """Raise BackendUnavailableError where the database is unreachable or too slow; other errors are bugs and pass."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if is_conflict(error):
            raise TransactionConflictError(DATABASE_LABEL) from error
        if not is_unavailable(error):
            raise
        log.warning("database_unavailable", error=type(error).__name__)
        raise BackendUnavailableError(DATABASE_LABEL) from error


TRANSIENT_SQLSTATE_CLASSES = ("08", "25006", "28", "3D", "40", "53", "55", "57", "58")
"""SQLSTATE classes and codes of temporary failures: the server is unreachable, out of resources, shutting down,
cancelling or broken; it is read-only (25006), rejects logins or lacks the database while it is restored or promoted; or
it rolled back a transaction in favour of another, as replicas do in favour of changes from the primary."""


def is_unavailable(error: BaseException) -> bool:
    """Return whether the error is a temporary failure of the database, not a bug."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, (PoolTimeoutError, OSError))
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or sqlstate is None or sqlstate.startswith(TRANSIENT_SQLSTATE_CLASSES)
