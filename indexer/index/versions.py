"""Monotonic versions of writes to the index: (timeline << 48) | sequence. They grow across failovers, too."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.postgres.primary import TIMELINE
from indexer.backends import DatabaseHistory

SEQUENCE_BITS = 48

NEXT = text(f"SELECT {TIMELINE} AS timeline, nextval('smarttrip.index_version') AS number")
DATABASE_STATE = text(
    "SELECT concat_ws(' ', pg_postmaster_start_time(), 'smarttrip.index_version'::regclass::oid) AS server,"  # noqa: S608
    f" {TIMELINE} AS timeline, last_value AS number FROM smarttrip.index_version"  # a constant
)
CURRENT = text(
    f"SELECT {TIMELINE} AS timeline, last_value AS number,"  # noqa: S608  # a constant
    " (SELECT system_identifier::text FROM pg_control_system()) AS system FROM smarttrip.index_version"
)


@dataclass(frozen=True)
class DatabaseOrigin:
    """Identity and state of the database, by which an index that was made from another one is recognized."""

    system: str
    """System identifier of the Postgres cluster."""
    timeline: int
    """Number that each failover and each point-in-time recovery increments."""
    version: int
    """Last version that was taken."""

    def meta(self) -> dict[str, Any]:
        """Return what is stored in the mapping of an index to identify its database."""
        return {"system": self.system, "timeline": self.timeline}


@dataclass(frozen=True)
class DatabaseState:
    server: str
    """Start time of the server, and identity of the sequence."""
    version: int
    """Last version that was taken."""


async def is_known(history: DatabaseHistory, connection: AsyncConnection) -> bool:
    """Return whether this is the database that was accepted, and not one restored to an earlier state."""
    state = await database_state(connection)
    if state.server != history.server or state.version < history.version:
        return False
    history.version = state.version
    return True


def accept(history: DatabaseHistory, state: DatabaseState) -> None:
    """Record that the state was compared with the live index."""
    history.server, history.version = state.server, state.version


def record_taken(history: DatabaseHistory, version: int) -> None:
    """Record a version that was taken, so that a database that is set back to just before it is not known."""
    history.version = max(history.version, version)


async def database_state(connection: AsyncConnection) -> DatabaseState:
    row = (await connection.execute(DATABASE_STATE)).one()
    return DatabaseState(row.server, _version(row.timeline, row.number))


async def next_version(engine: AsyncEngine) -> int:
    """Take the next version. Rows to be written under it must be read afterwards.

    It is committed by itself, and so on disk before it is used: after a crash Postgres cannot return it again.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        row = (await connection.execute(NEXT)).one()
    return _version(row.timeline, row.number)


async def database_origin(engine: AsyncEngine) -> DatabaseOrigin:
    async with engine.connect() as connection:
        return await origin_seen_by(connection)


async def origin_seen_by(connection: AsyncConnection) -> DatabaseOrigin:
    row = (await connection.execute(CURRENT)).one()
    return DatabaseOrigin(row.system, row.timeline, _version(row.timeline, row.number))


def _version(timeline: int, number: int) -> int:
    return (timeline << SEQUENCE_BITS) | number
