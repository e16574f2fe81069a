"""The registry, in Postgres, of the indices that are written to."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.index_document import DOCUMENT_VERSION
from schemas.tables import IndexTarget


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
    state_since: datetime
    """Time at which it got its state."""

    @property
    def is_compatible(self) -> bool:
        """Whether its documents have the version that this program builds."""
        return self.document_version == str(DOCUMENT_VERSION)


async def read_targets(connection: AsyncConnection) -> list[Target]:
    rows = await connection.execute(select(IndexTarget.__table__).order_by(IndexTarget.created_at))
    return [Target(row.name, TargetState(row.state), row.mapping_hash, row.created_at, row.state_since) for row in rows]


async def register(connection: AsyncConnection, name: str) -> None:
    values = {"name": name, "state": TargetState.BUILDING, "mapping_hash": str(DOCUMENT_VERSION)}
    await connection.execute(insert(IndexTarget).values(values))


async def remove(connection: AsyncConnection, names: Collection[str]) -> None:
    await connection.execute(delete(IndexTarget).where(IndexTarget.name.in_(names)))


async def remove_others(connection: AsyncConnection, names: Collection[str]) -> None:
    await connection.execute(delete(IndexTarget).where(IndexTarget.name.not_in(names)))


async def mark(connection: AsyncConnection, name: str, state: TargetState) -> bool:
    """Set the state; return False if the target is not registered any more."""
    since = case((IndexTarget.state == state, IndexTarget.state_since), else_=func.clock_timestamp())
    values = {"state": state, "state_since": since}
    changed = await connection.execute(update(IndexTarget).where(IndexTarget.name == name).values(values))
    return changed.rowcount == 1
