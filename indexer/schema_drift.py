"""Write all documents again when the platform's columns change: those written meanwhile have other values, or none."""

import asyncio

import structlog
from redis.asyncio import Redis
from sqlalchemy import insert, select, update

from core.errors import BACKEND_ERRORS
from core.postgres.platform_columns import CHECK_SECONDS, Differences
from indexer.backends import Backends
from indexer.invalidation_publisher import publish_all_changed
from schemas.invalidation_message import EVERYTHING
from schemas.tables import Installation, OutboxRow

log = structlog.get_logger()


async def watch_columns(backends: Backends, redis: Redis) -> None:
    """Compare the platform's columns with ours now and then, until cancelled.

    When a change is seen, every departure is read again and caches are emptied. Each worker does so for itself: until
    it sees the change it writes documents with the columns as they were.
    """
    seen: Differences | None = None
    while True:
        await backends.columns.check()
        current = backends.columns.differences
        try:
            if current != seen if seen is not None else str(current) != await _read_last_seen(backends):
                await write_all_again(backends)
                await publish_all_changed(redis)
            seen = current
        except BACKEND_ERRORS as error:
            log.warning("column_changes_not_recorded", error=type(error).__name__)
        await asyncio.sleep(CHECK_SECONDS)


async def write_all_again(backends: Backends) -> None:
    """Enqueue every departure, and record the columns with which they are read from now on."""
    async with backends.postgres.begin() as connection:
        await connection.execute(update(Installation).values(column_differences=str(backends.columns.differences)))
        await connection.execute(insert(OutboxRow).values(kind=EVERYTHING))


async def _read_last_seen(backends: Backends) -> str:
    """Return the differences that a worker saw last: the columns may have changed while none ran."""
    async with backends.postgres.connect() as connection:
        return (await connection.scalars(select(Installation.column_differences))).one()
