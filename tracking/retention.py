"""Remove expired tracking data, in whole days."""

from sqlalchemy.ext.asyncio import AsyncEngine

from core.retention import remove_expired
from schemas.tables import BrowsingSession, DeadEvent, Event, RecommendationRequest, UnverifiedBrowser

AGES = (
    Event.timestamp,
    BrowsingSession.started_at,
    RecommendationRequest.created_at,
    DeadEvent.created_at,
    UnverifiedBrowser.created_at,
)
"""Column with the age of a row, for each table. Users, daily metrics and trip metrics are not removed."""


async def remove_old(engine: AsyncEngine, days: int) -> int:
    """Remove rows older than `days`, not counting today; return their number."""
    return sum([await remove_expired(engine, age, days) for age in AGES])
