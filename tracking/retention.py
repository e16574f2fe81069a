"""Remove expired tracking data, in whole days."""

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import Delete, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.transactions import run_transaction
from schemas.tables import BrowsingSession, DeadEvent, Event, RecommendationRequest, UnverifiedBrowser

CHUNK = 5000
"""Rows removed in one transaction."""

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
    before = datetime.combine(datetime.now(UTC).date() - timedelta(days=days), time.min, UTC)
    removed = 0
    for age in AGES:
        table = age.class_
        old = select(table.id).where(age < before).order_by(age).limit(CHUNK)
        statement = delete(table).where(table.id.in_(old))
        while rows := await _execute(engine, statement):
            removed += rows
    return removed


async def _execute(engine: AsyncEngine, statement: Delete) -> int:
    async def work(connection: AsyncConnection) -> int:
        return (await connection.execute(statement)).rowcount

    return await run_transaction(engine, work)
