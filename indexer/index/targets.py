"""The registry, in Postgres, of the indices that are written to."""

from collections.abc import Collection, Iterable
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
    fed_at: datetime
    """Time at which a worker of its document version last ran."""

    @property
    def is_compatible(self) -> bool:
        """Whether its documents have the version that this program builds."""
        return self.document_version == str(DOCUMENT_VERSION)


async def read_targets(connection: AsyncConnection) -> list[Target]:
    rows = await connection.execute(select(IndexTarget.__table__).order_by(IndexTarget.created_at))
    return [
        Target(row.name, TargetState(row.state), row.mapping_hash, row.created_at, row.state_since, row.fed_at)
        for row in rows
    ]


def other_versions(known: Iterable[Target]) -> set[str]:
    """Return the document versions of the targets that only workers of other releases can write to."""
    return {target.document_version for target in known if not target.is_compatible}


async def register(connection: AsyncConnection, name: str) -> None:
    values = {"name": name, "state": TargetState.BUILDING, "mapping_hash": str(DOCUMENT_VERSION)}
    await connection.execute(insert(IndexTarget).values(values))


async def remove(connection: AsyncConnection, names: Collection[str]) -> None:
    await connection.execute(delete(IndexTarget).where(IndexTarget.name.in_(names)))


async def remove_others(connection: AsyncConnection, names: Collection[str]) -> None:
    """Remove targets of this program's document version, and half-built ones of any, that are not in `names`."""
    own = IndexTarget.mapping_hash == str(DOCUMENT_VERSION)
    half_built = IndexTarget.state == TargetState.BUILDING
    await connection.execute(delete(IndexTarget).where(IndexTarget.name.not_in(names), own | half_built))


async def record_fed(connection: AsyncConnection) -> None:
    """Record that a worker of this program's document version runs."""
    own = IndexTarget.mapping_hash == str(DOCUMENT_VERSION)
    await connection.execute(update(IndexTarget).where(own).values(fed_at=func.clock_timestamp()))


async def mark(connection: AsyncConnection, name: str, state: TargetState) -> bool:
    """Set the state; return False if the target is not registered any more."""
    since = case((IndexTarget.state == state, IndexTarget.state_since), else_=func.clock_timestamp())
    values = {"state": state, "state_since": since}
    changed = await connection.execute(update(IndexTarget).where(IndexTarget.name == name).values(values))
    return changed.rowcount == 1
