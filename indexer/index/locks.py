"""Advisory locks in Postgres: batches against rebuilds, and one rebuild at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from indexer.errors import ReindexRunningError

BATCH_LOCK = 0x736D0001
"""Advisory lock that batches share and that a rebuild takes exclusively."""
REBUILD_LOCK = 0x736D0002
"""Advisory lock of the one process that builds or swaps indices."""

STALLED_AFTER = 60.0
"""Seconds after which a batch counts as stalled: Postgres ends its idle transaction, which frees its rows."""

LOCK_NOT_AVAILABLE = "55P03"
LOCK_TIMEOUT = 1.0
"""Seconds that new batches may queue behind a pending exclusive lock before they are let through."""
LOCK_PAUSE = 0.2
"""Seconds between two attempts to get the exclusive lock."""


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


async def exclude_batches(connection: AsyncConnection) -> None:
    """Wait until no batch is running, and block new ones until the transaction of `connection` ends."""
    while True:
        if await _try_exclude_batches(connection):
            return
        await asyncio.sleep(LOCK_PAUSE)


async def _try_exclude_batches(connection: AsyncConnection) -> bool:
    try:
        async with connection.begin_nested():
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": BATCH_LOCK})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


@asynccontextmanager
async def rebuild_lock(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Hold the rebuild lock for the block, on the connection that is yielded; it is lost if that connection breaks.

    `engine` must connect to Postgres directly, not through a pooler: the lock belongs to the session.
    Raises: ReindexRunningError.
    """
    async with engine.connect() as connection:
        if not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": REBUILD_LOCK}):
            raise ReindexRunningError
        await connection.commit()
        try:
            yield connection
        finally:
            await connection.rollback()
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": REBUILD_LOCK})
            await connection.commit()
