"""The feed of the indexes of one document version: its workers record that they run, its readers check it."""

import asyncio

import structlog
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.errors import BACKEND_ERRORS
from indexer.index import targets
from indexer.index.outbox import OWN_COPY
from schemas.index_document import DOCUMENT_VERSION
from schemas.tables import IndexTarget, OutboxCopy

log = structlog.get_logger()

RECORD_SECONDS = 2.0
"""Time between two records that a worker runs."""
UNFED_AFTER = text("clock_timestamp() - interval '6 seconds'")
"""Time before which a record counts as outdated."""

_waits = select(OutboxCopy.id).where(OWN_COPY, OutboxCopy.created_at < UNFED_AFTER)
_is_fed = select(IndexTarget.name).where(
    IndexTarget.mapping_hash == str(DOCUMENT_VERSION), IndexTarget.fed_at > UNFED_AFTER
)
UNFED = select(_waits.exists() & ~_is_fed.exists())


async def is_unfed(connection: AsyncConnection) -> bool:
    """Return whether a change waits for a worker of this document version while none runs.

    Without such a worker the index is still right as long as nothing changes. A worker that runs and is only behind
    does not count: then every document version lags in the same way.
    """
    return bool(await connection.scalar(UNFED))


async def record_forever(engine: AsyncEngine) -> None:
    """Record periodically that a worker of this document version runs, until cancelled."""
    while True:
        try:
            async with engine.begin() as connection:
                await targets.record_fed(connection)
        except BACKEND_ERRORS as error:
            log.warning("feed_not_recorded", error=type(error).__name__)
        await asyncio.sleep(RECORD_SECONDS)
