"""Heartbeat of the workers of one document version: they record that they run, and API processes check it."""

import asyncio

import structlog
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.errors import BACKEND_ERRORS
from indexer.index import targets
from indexer.index.outbox import COPY_OF_THIS_VERSION
from schemas.index_document import DOCUMENT_VERSION
from schemas.tables import IndexTarget, OutboxCopy

log = structlog.get_logger()

RECORD_SECONDS = 2.0
"""Time between two records that a worker runs."""
HEARTBEAT_OUTDATED_AFTER = text("clock_timestamp() - interval '6 seconds'")
"""Time before which a record counts as outdated."""

_waits = select(OutboxCopy.id).where(COPY_OF_THIS_VERSION, OutboxCopy.created_at < HEARTBEAT_OUTDATED_AFTER)
_is_fed = select(IndexTarget.name).where(
    IndexTarget.mapping_hash == str(DOCUMENT_VERSION), IndexTarget.fed_at > HEARTBEAT_OUTDATED_AFTER
)
LACKS_RUNNING_WORKER = select(_waits.exists() & ~_is_fed.exists())


async def lacks_running_worker(connection: AsyncConnection) -> bool:
    """Return whether a change waits for a worker of this document version while none runs.

    Without such a worker the index is still right as long as nothing changes. A worker that runs and is only behind
    does not count: then every document version lags in the same way.
    """
    return bool(await connection.scalar(LACKS_RUNNING_WORKER))


async def record_forever(engine: AsyncEngine) -> None:
    """Record periodically that a worker of this document version runs, until cancelled."""
    while True:
        try:
            async with engine.begin() as connection:
                await targets.record_fed(connection)
        except BACKEND_ERRORS as error:
            log.warning("feed_not_recorded", error=type(error).__name__)
        await asyncio.sleep(RECORD_SECONDS)
