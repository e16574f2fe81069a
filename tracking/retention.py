"""Remove expired tracking data, in whole days."""

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core.postgres.retention import remove_expired
from schemas.tables import BrowsingSession, DeadEvent, Event, RecommendationRequest, UnverifiedBrowser

log = structlog.get_logger()

AGES = (
    Event.timestamp,
    BrowsingSession.started_at,
    RecommendationRequest.created_at,
    DeadEvent.created_at,
    UnverifiedBrowser.created_at,
)
"""Column with the age of a row, for each table. Users, daily metrics and trip metrics are not removed."""


async def remove_old(engine: AsyncEngine, days: int) -> int:
    """Remove rows older than `days`, not counting today; return their number.

    Raises: DBAPIError, the first of a table that could not be cleaned at all, after the other tables.
    """
    removed, failures = 0, []
    for age in AGES:
        try:
            removed += await remove_expired(engine, age, days)
        except DBAPIError as error:
            log.warning("rows_not_removed", table=age.class_.__tablename__, error=type(error.orig).__name__)
            failures.append(error)
    if failures:
        raise failures[0]
    return removed
