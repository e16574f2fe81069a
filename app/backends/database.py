"""Sessions on Postgres. Read and write sessions have different types: a signature shows where a query may run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial, wraps
from typing import Any, TypeVar, TypeVarTuple, cast

import structlog
from sqlalchemy import Select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from app.backends.circuit_breaker import CircuitBreaker
from app.backends.labels import DATABASE_LABEL
from app.backends.replica_pool import MAX_LAG_SECONDS, ReplicaPool
from app.backends.shared_reads import SharedReads
from app.backends.stall_probe import StallProbe
from core.concurrency.time_limit import time_limit
from core.errors import (
    BackendUnavailableError,
    DatabaseBlockedError,
    DatabaseDiffersError,
    PoolExhaustedError,
    TransactionConflictError,
)
from core.postgres.driver_reads import fetch_rows
from core.postgres.platform_columns import AGAIN_SECONDS, DEFAULT_ZONE, PlatformColumns
from core.postgres.pool import repeating_statements
from core.postgres.transactions import is_conflict, is_outdated, retry_conflicts

log = structlog.get_logger()

Result = TypeVar("Result")
Columns = TypeVarTuple("Columns")


REPLICA_SECONDS = 1.0
"""Seconds that a replica has for a connection and for each statement; then the primary is asked."""

Method = TypeVar("Method", bound=Callable[..., Any])


def _with_fallback(unsafe_method: Method) -> Method:
    """Let a method of ReadSession run on the primary if its replica fails or is silent.

    It is repeated where a table has changed since its statement was prepared, and on another connection where its own
    turns out to be broken.
    """

    async def method(session: "ReadSession", *arguments: Any, **named: Any) -> Any:
        try:
            return await unsafe_method(session, *arguments, **named)
        except DBAPIError as error:
            if error.connection_invalidated:
                # SQLAlchemy has dropped all connections that are as old.
                await session.invalidate()
            elif not is_outdated(error):
                raise
            return await unsafe_method(session, *arguments, **named)

    @wraps(unsafe_method)
    async def run(session: "ReadSession", *arguments: Any, **named: Any) -> Any:
        if session.fail_over is None:
            return await method(session, *arguments, **named)
        try:
            async with time_limit(REPLICA_SECONDS):
                return await method(session, *arguments, **named)
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            database = session.fail_over(error)
        await session.move_to(database.reading[database.primary])
        async with database.guard(session):
            return await method(session, *arguments, **named)

    return cast(Method, run)


class ReadSession(AsyncSession):
    """A session that may run on a replica, which lags a little behind the primary."""

    fail_over: "Callable[[Exception], Database] | None" = None
    """On a replica: marks it as failed, and returns the database whose primary takes over; raises other errors."""

    async def move_to(self, engine: AsyncEngine) -> None:
        """Go on with another server, and drop the connection to the present one."""
        self.fail_over = None
        await self.invalidate()
        self.bind, self.sync_session.bind = engine, engine.sync_engine

    @_with_fallback
    async def run(self, read: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Call `read` with the session's connection, and return its result.

        It must have no other effects, since it may be repeated.
        """
        return await read(await AsyncSession.connection(self))

    connection = _with_fallback(AsyncSession.connection)
    execute = _with_fallback(AsyncSession.execute)
    get = _with_fallback(AsyncSession.get)
    scalar = _with_fallback(AsyncSession.scalar)  # type: ignore[arg-type, assignment]  # overloads
    scalars = _with_fallback(AsyncSession.scalars)


class WriteSession(AsyncSession):
    """A session on the primary, in one transaction that commits at the end of the block."""


class Database:
    def __init__(
        self,
        primary: AsyncEngine,
        replicas: Sequence[AsyncEngine] = (),
        *,
        max_lag: float = MAX_LAG_SECONDS,
        zone: str = DEFAULT_ZONE,
    ) -> None:
        self.primary = primary
        self.reading = {engine: engine.execution_options(postgresql_readonly=True) for engine in (primary, *replicas)}
        """The engines with read-only transactions, which take no round trips of their own."""
        self.breaker = CircuitBreaker("postgres", DATABASE_LABEL)
        self._probe = StallProbe(primary, self.breaker.trip)
        self._replicas = ReplicaPool(replicas, primary=primary, max_lag=max_lag)
        self.columns = PlatformColumns(primary, replicas, zone=zone)
        self.by_id = SharedReads(self)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """Open a session on the next usable replica, or on the primary if there is none.

        Raises: BackendUnavailableError.
        """
        self.columns.check_soon()
        replica = self._replicas.pick()
        if replica is None:
            # Closing the session rolls back on the server, which may fail as any statement may.
            with self.breaker, self._map_errors(), repeating_statements():
                async with (
                    ReadSession(self.reading[self.primary], expire_on_commit=False) as session,
                    self._probe.watch(session),
                ):
                    yield session
            return
        # A failing replica says nothing about the primary, so the breaker is not asked.
        with self._map_errors(), repeating_statements():
            async with ReadSession(self.reading[replica], expire_on_commit=False) as session:
                session.fail_over = partial(self._fail_over, replica)
                await session.connection()
                yield session

    async def fetch(self, statement: Select[*Columns], **parameters: Any) -> Sequence[tuple[*Columns]]:
        """Return the rows of one statement that reads, without a session, which costs more than the statement.

        Where it runs, and what happens while a server fails, is as in a session of `read`.
        Raises: BackendUnavailableError.
        """
        self.columns.check_soon()
        replica = self._replicas.pick()
        if replica is not None:
            with self._map_errors():
                try:
                    async with time_limit(REPLICA_SECONDS):
                        return await fetch_rows(replica, statement, parameters)
                except (DBAPIError, PoolTimeoutError, OSError) as error:
                    self._leave_replica(replica, error)
        with self.breaker, self._map_errors():
            # Who has waited for a replica has been patient already.
            async with self._probe.watch_call(patience=None if replica is None else 0):
                return await fetch_rows(self.primary, statement, parameters)

    async def ping(self) -> None:
        """Return once a server has responded. Raises: BackendUnavailableError.

        A session alone does not ask it: a connection of the pool is not tested before a read.
        """
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """Open a write session. Raises: BackendUnavailableError."""
        with self.breaker, self._map_errors():
            async with self._write_session() as session:
                yield session

    @asynccontextmanager
    async def guard(self, session: AsyncSession) -> AsyncIterator[None]:
        """Use the primary in the block, after a replica. Raises: BackendUnavailableError if it is down or stalls."""
        with self.breaker, self._map_errors():
            # The caller has waited for the replica already.
            async with self._probe.watch(session, patience=0):
                yield

    async def transact(self, work: Callable[[WriteSession], Awaitable[Result]]) -> Result:
        """Run `work` in a transaction, and repeat it where Postgres rolls it back in favour of another one.

        `work` must have no effects outside of its session. Raises: BackendUnavailableError.
        """

        async def attempt() -> Result:
            async with self._write_session() as session:
                return await work(session)

        with self.breaker, self._map_errors():
            return await retry_conflicts()(attempt)

    async def stop_checks(self) -> None:
        """End the probe and the comparison of columns; the engines stay open, for others that use them."""
        await self.columns.close()
        await self._probe.close()

    async def close(self) -> None:
        await self.by_id.close()
        await self.stop_checks()
        await self._replicas.close()
        await self.primary.dispose()

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        try:
            with map_database_errors():
                yield
        except DatabaseDiffersError:
            self.columns.check_soon(after=AGAIN_SECONDS)
            raise
        except BackendUnavailableError as error:
            holder = self._probe.lock_holder
            if holder is None or not isinstance(error.__cause__, (TimeoutError, PoolTimeoutError)):
                raise
            raise DatabaseBlockedError(DATABASE_LABEL, pid=holder.pid, locks=holder.locks) from error

    @asynccontextmanager
    async def _write_session(self) -> AsyncIterator[WriteSession]:
        async with (
            WriteSession(self.primary, expire_on_commit=False) as session,
            session.begin(),
            self._probe.watch(session),
        ):
            yield session

    def _fail_over(self, replica: AsyncEngine, error: Exception) -> "Database":
        self._leave_replica(replica, error)
        return self

    def _leave_replica(self, replica: AsyncEngine, error: Exception) -> None:
        """Do not use the replica for now. Raises the error if it does not say that the replica fails."""
        if not is_unavailable(error):
            raise error
        log.warning("replica_failed", error=type(error).__name__)
        self._replicas.mark_failed(replica)


@contextmanager
def map_database_errors() -> Iterator[None]:
    """Raise BackendUnavailableError where the database is unreachable or too slow; other errors are bugs and pass."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if is_conflict(error):
            raise TransactionConflictError(DATABASE_LABEL) from error
        if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in DIFFERS_SQLSTATES:
            log.error("database_differs", message=str(error.orig).splitlines()[0])
            raise DatabaseDiffersError(DATABASE_LABEL) from error
        if not is_unavailable(error):
            raise
        log.warning("database_unavailable", error=type(error).__name__)
        kind = PoolExhaustedError if isinstance(error, PoolTimeoutError) else BackendUnavailableError
        raise kind(DATABASE_LABEL) from error


DIFFERS_SQLSTATES = ("42703", "42P01", "42501", "42804", "42846", "42883")
"""SQLSTATE of a missing column or table, of a missing right, and of a column whose type does not suit an operation: the
database is not as the release needs it."""

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
