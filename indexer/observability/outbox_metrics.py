"""Figures that nobody comes by while working: how much waits, for how long, and how often it was tried."""

import asyncio

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import BACKEND_ERRORS
from indexer import metrics
from schemas.tables import DeadLetter, OutboxRow

log = structlog.get_logger()

PERIOD_SECONDS = 5.0

WAITING = select(
    func.count().label("rows"),
    func.coalesce(func.extract("epoch", func.clock_timestamp() - func.min(OutboxRow.created_at)), 0).label("oldest"),
    func.coalesce(func.max(OutboxRow.attempts), 0).label("attempts"),
)
DEAD = select(func.count()).select_from(DeadLetter)


async def collect_forever(engine: AsyncEngine) -> None:
    """Runs until it is cancelled."""
    while True:
        try:
            await collect(engine)
        except BACKEND_ERRORS as error:
            log.warning("gauges_failed", error=type(error).__name__)
        await asyncio.sleep(PERIOD_SECONDS)


async def collect(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        waiting = (await connection.execute(WAITING)).one()
        dead = await connection.scalar(DEAD)
    metrics.DEPTH.set(waiting.rows)
    metrics.OLDEST.set(float(waiting.oldest))
    metrics.ATTEMPTS.set(waiting.attempts)
    metrics.DEAD.set(dead or 0)
