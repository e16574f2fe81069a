"""Processes that publish changes to caches, registered in Postgres: when one is gone, another publishes in its place.

A process that is killed after it committed changes, and before it published them, leaves its row behind.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tables import Publisher, UnpublishedChanges

RENEW_SECONDS = 2.0
"""Time between two renewals of a row."""
GONE_AFTER = text("interval '6 seconds'")
"""Age of a row whose process is gone. One of the future, left by a clock that was wrong, counts as well."""


async def renew(connection: AsyncConnection, publisher: UUID) -> None:
    """Record that the process runs, before it commits changes."""
    row = insert(Publisher).values(id=publisher, renewed_at=func.clock_timestamp(), records_changes=True)
    await connection.execute(
        row.on_conflict_do_update(index_elements=[Publisher.id], set_={"renewed_at": row.excluded.renewed_at})
    )


async def request_publication(connection: AsyncConnection, publisher: UUID) -> None:
    """Have any worker publish that everything changed, once this is committed, unless `remove` comes first."""
    await connection.execute(insert(Publisher).values(id=publisher, renewed_at=text("'-infinity'")))


async def remove(connection: AsyncConnection, publisher: UUID) -> None:
    """Remove the row of a process that has published everything. One that has not keeps its row: another publishes."""
    unpublished = select(UnpublishedChanges.id).where(UnpublishedChanges.publisher == publisher)
    await connection.execute(delete(Publisher).where(Publisher.id == publisher, ~unpublished.exists()))


def without_records() -> Select[UUID]:
    """Select processes that do not record what they write: of an earlier release, or a reindex that swaps."""
    return select(Publisher.id).where(~Publisher.records_changes)


async def take_over(connection: AsyncConnection, publisher: UUID) -> Sequence[int] | None:
    """Remove the rows of processes that are gone; return the ids of their unpublished changes, which the caller gets.

    None if nobody is gone; otherwise the caller, whose own row has to be there, publishes that everything changed. If
    it is killed before, another process takes over from it.
    """
    now = func.clock_timestamp()
    is_current = Publisher.renewed_at.between(now - GONE_AFTER, now + GONE_AFTER)
    # Rows that another worker is taking over are left to it.
    found = select(Publisher.id).where(~is_current).with_for_update(skip_locked=True)
    gone = [*await connection.scalars(found)]
    if not gone:
        return None
    moved = update(UnpublishedChanges).where(UnpublishedChanges.publisher.in_(gone)).values(publisher=publisher)
    adopted = await connection.scalars(moved.returning(UnpublishedChanges.id))
    await connection.execute(delete(Publisher).where(Publisher.id.in_(gone)))
    return [*adopted]
