"""Numbers of the readings of Postgres: what is read later has a higher one, on every server that ever was primary."""

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
    """The database as it is now: which server, how often another one took over, and the last version it gave out."""

    system: str
    timeline: int
    version: int

    def meta(self) -> dict[str, Any]:
        """What an index says of the database that it was made from."""
        return {"system": self.system, "timeline": self.timeline}


async def next_version(engine: AsyncEngine) -> int:
    """The next version; what is to be written under it must be read afterwards.

    Committed by itself, so that it is on disk before it is used: a crash of the server can't give it out again.
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
