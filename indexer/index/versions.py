"""Monotonic document versions: (timeline << 48) | sequence. They grow across failovers of Postgres, too."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

TIMELINE = "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer"
SEQUENCE_BITS = 48

NEXT = text(f"SELECT {TIMELINE} AS timeline, nextval('smarttrip.index_version') AS number")
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
