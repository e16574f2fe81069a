"""Advisory locks in Postgres: batches against rebuilds, and one rebuild at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncpg import LockNotAvailableError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from indexer.errors import BatchesBlockedError, ReindexRunningError

BATCH_LOCK = 0x736D0001
"""Advisory lock that batches share and that a rebuild takes exclusively."""
REBUILD_LOCK = 0x736D0002
"""Advisory lock of the one process that builds or swaps indices."""

LOCK_HELD = text("""
SELECT EXISTS (
  SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
  WHERE locktype = 'advisory' AND datname = current_database()
    AND classid = 0 AND objid = :key AND objsubid = 1 AND granted
)
""")

STALLED_AFTER = 60.0
"""Seconds after which a batch counts as stalled: Postgres ends its idle transaction, which frees its rows."""

EXCLUSIVE_SECONDS = 10.0
"""Longest time for which a rebuild may block batches. Postgres ends its transaction if it stands still for as long."""
REBUILD_IDLE_SECONDS = 60.0
"""Seconds after which Postgres ends any other transaction of a rebuild that stands still, and with it the rebuild."""
KEEPALIVE_SECONDS = 30
"""Seconds of silence after which Postgres tests whether the machine that rebuilds is still there."""

IDLE_IN_TRANSACTION = "25P03"
LOCK_TIMEOUT = 1.0
"""Seconds that new batches may queue behind a pending exclusive lock before they are let through."""
LOCK_PAUSE = 0.2
"""Seconds between two attempts to get the exclusive lock."""


SET_KEEPALIVE = text(
    "SELECT set_config('tcp_keepalives_idle', :seconds, false), set_config('tcp_keepalives_interval', '5', false),"
    " set_config('tcp_keepalives_count', '3', false)"
)
"""Let Postgres notice that the machine of a rebuild is gone, and free the rebuild lock."""


async def enter_batch(connection: AsyncConnection, stalled_after: float = STALLED_AFTER) -> None:
    """Take the shared lock of batches, as the first statement of a batch.

    While it is held no rebuild changes the registry of indices, so all batches see the same targets. Postgres ends
    the transaction once it is idle for `stalled_after` seconds.
    """
    await connection.execute(
        text(
            "SELECT set_config('idle_in_transaction_session_timeout', :stalled, true),"
            " pg_advisory_xact_lock_shared(:batches)"
        ),
        {"stalled": f"{stalled_after:.0f}s", "batches": BATCH_LOCK},
    )


@asynccontextmanager
async def batches_excluded(connection: AsyncConnection) -> AsyncIterator[None]:
    """Run the block in a transaction of `connection` during which no batch runs.

    All batches, and so the whole synchronization, wait for the block. So it may last for `EXCLUSIVE_SECONDS`: if it
    calls a server that stalls, it is aborted here; if this process itself stands still, Postgres ends the transaction.
    Raises: BatchesBlockedError.
    """
    seconds = EXCLUSIVE_SECONDS
    try:
        async with connection.begin():
            await _exclude_batches(connection, seconds)
            async with asyncio.timeout(seconds):
                yield
    except TimeoutError as error:
        raise BatchesBlockedError(seconds) from error
    except DBAPIError as error:
        if is_lost(connection, error):
            raise BatchesBlockedError(seconds) from error
        raise


def is_lost(connection: AsyncConnection, error: DBAPIError) -> bool:
    """Return whether Postgres ended the session, as it does with one that is idle in a transaction for too long.

    The error may be of another connection that the block uses.
    """
    return connection.invalidated or getattr(error.orig, "sqlstate", None) == IDLE_IN_TRANSACTION


async def _exclude_batches(connection: AsyncConnection, seconds: float) -> None:
    """Wait until no batch is running, and block new ones until the transaction of `connection` ends."""
    await _limit_idle_transactions(connection, seconds, local=True)
    while True:
        if await _try_exclude_batches(connection):
            return
        await asyncio.sleep(LOCK_PAUSE)


async def _limit_idle_transactions(connection: AsyncConnection, seconds: float, *, local: bool) -> None:
    """Have Postgres end transactions that are idle for so long: this one if `local`, else all of the session."""
    await connection.execute(
        text("SELECT set_config('idle_in_transaction_session_timeout', :milliseconds, :local)"),
        {"milliseconds": f"{seconds * 1000:.0f}", "local": local},
    )


async def _try_exclude_batches(connection: AsyncConnection) -> bool:
    try:
        async with connection.begin_nested():
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": BATCH_LOCK})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LockNotAvailableError.sqlstate:
            raise
        return False
    return True


async def is_rebuilding(connection: AsyncConnection) -> bool:
    """Return whether any process is running a reindex or a rollback, on the primary, which alone has the locks."""
    return bool(await connection.scalar(LOCK_HELD, {"key": REBUILD_LOCK}))


@asynccontextmanager
async def rebuild_lock(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Hold the rebuild lock for the block, on the connection that is yielded; it is lost if that connection breaks.

    `engine` must connect to Postgres directly, not through a pooler: the lock belongs to the session.
    Raises: ReindexRunningError.
    """
    async with engine.connect() as connection:
        if not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": REBUILD_LOCK}):
            raise ReindexRunningError
        await _limit_idle_transactions(connection, REBUILD_IDLE_SECONDS, local=False)
        await connection.execute(SET_KEEPALIVE, {"seconds": str(KEEPALIVE_SECONDS)})
        await connection.commit()
        try:
            yield connection
        finally:
            await connection.rollback()
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": REBUILD_LOCK})
            await connection.commit()
