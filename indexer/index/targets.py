"""Which indices are written to, as Postgres knows it, and the lock between batches and what must not overlap them."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from indexer.errors import ReindexRunningError
from schemas.index_document import DOCUMENT_VERSION
from schemas.tables import IndexTarget

BATCH_LOCK = 0x736D0001
"""Advisory lock that each batch shares and that a reindex takes alone."""
REBUILD_LOCK = 0x736D0002
"""Advisory lock of the one that builds or swaps."""

STALLED_AFTER = 60.0
"""Seconds after which Postgres ends the transaction of a batch that stopped, and its rows are free again."""


class TargetState(StrEnum):
    BUILDING = "building"
    LIVE = "live"
    PREVIOUS = "previous"


@dataclass(frozen=True)
class Target:
    name: str
    state: TargetState
    document_version: str
    created_at: datetime

    @property
    def is_compatible(self) -> bool:
        """Made for the documents that this code makes."""
        return self.document_version == str(DOCUMENT_VERSION)


async def enter_batch(connection: AsyncConnection) -> None:
    """First statement of a batch: from here on the targets are those that every batch sees."""
    await connection.execute(
        text(
            "SELECT set_config('idle_in_transaction_session_timeout', :stalled, true),"
            " pg_advisory_xact_lock_shared(:batches)"
        ),
        {"stalled": f"{STALLED_AFTER:.0f}s", "batches": BATCH_LOCK},
    )


async def read_targets(connection: AsyncConnection) -> list[Target]:
    rows = await connection.execute(select(IndexTarget.__table__).order_by(IndexTarget.created_at))
    return [Target(row.name, TargetState(row.state), row.mapping_hash, row.created_at) for row in rows]


async def register(connection: AsyncConnection, name: str) -> None:
    values = {"name": name, "state": TargetState.BUILDING, "mapping_hash": str(DOCUMENT_VERSION)}
    await connection.execute(insert(IndexTarget).values(values))


async def remove(connection: AsyncConnection, names: Collection[str]) -> None:
    await connection.execute(delete(IndexTarget).where(IndexTarget.name.in_(names)))


async def remove_others(connection: AsyncConnection, names: Collection[str]) -> None:
    await connection.execute(delete(IndexTarget).where(IndexTarget.name.not_in(names)))


async def mark(connection: AsyncConnection, name: str, state: TargetState) -> bool:
    """False if the target is no longer known."""
    changed = await connection.execute(update(IndexTarget).where(IndexTarget.name == name).values(state=state))
    return changed.rowcount == 1


@asynccontextmanager
async def rebuild_lock(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection that holds the right to build and swap, and loses it when it breaks. Raises ReindexRunning.

    `engine` must reach Postgres directly, past any pooler.
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


LOCK_NOT_AVAILABLE = "55P03"
LOCK_TIMEOUT = 1.0
"""Seconds that batches wait behind the one that wants them all to have ended, before it lets them go on."""
LOCK_PAUSE = 0.2


async def exclude_batches(connection: AsyncConnection) -> None:
    """Waits for the batches in flight to end, and lets none begin until the transaction of `connection` ends."""
    while True:
        if await _try_to_keep_batches_out(connection):
            return
        await asyncio.sleep(LOCK_PAUSE)


async def _try_to_keep_batches_out(connection: AsyncConnection) -> bool:
    try:
        async with connection.begin_nested():
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": BATCH_LOCK})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True
