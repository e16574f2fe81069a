"""Processes that publish changes to caches, registered in Postgres: when one is gone, another publishes in its place.

A process that is killed after it committed changes, and before it published them, leaves its row behind.
"""

from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.tables import Publisher

RENEW_SECONDS = 2.0
"""Time between two renewals of a row."""
GONE_AFTER = text("interval '6 seconds'")
"""Age of a row whose process is gone. One of the future, left by a clock that was wrong, counts as well."""


async def renew(connection: AsyncConnection, publisher: UUID) -> None:
    """Record that the process runs, before it commits changes."""
    row = insert(Publisher).values(id=publisher, renewed_at=func.clock_timestamp())
    await connection.execute(
        row.on_conflict_do_update(index_elements=[Publisher.id], set_={"renewed_at": row.excluded.renewed_at})
    )


async def request_publication(connection: AsyncConnection, publisher: UUID) -> None:
    """Have any worker publish that everything changed, once this is committed, unless `remove` comes first."""
    await connection.execute(insert(Publisher).values(id=publisher, renewed_at=text("'-infinity'")))


async def remove(connection: AsyncConnection, publisher: UUID) -> None:
    """Remove the row of a process that has published everything."""
    await connection.execute(delete(Publisher).where(Publisher.id == publisher))


async def are_others_registered(connection: AsyncConnection) -> bool:
    """Return whether another process may have written what caches were not notified of: it runs, or was killed."""
    return (await connection.scalar(select(func.count()).select_from(Publisher)) or 0) > 1


async def take_over(connection: AsyncConnection) -> bool:
    """Remove the rows of processes that are gone; return whether the caller has to publish in their place.

    The caller's own row has to be there, so that another process takes over if it is killed before it has published.
    """
    now = func.clock_timestamp()
    is_current = Publisher.renewed_at.between(now - GONE_AFTER, now + GONE_AFTER)
    # Rows that another worker is taking over are left to it.
    gone = select(Publisher.id).where(~is_current).with_for_update(skip_locked=True)
    return bool((await connection.execute(delete(Publisher).where(Publisher.id.in_(gone)))).rowcount)
