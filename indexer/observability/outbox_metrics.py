"""Figures that nobody comes by while working: how much waits, for how long, and how often it was tried."""

import asyncio

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import BACKEND_ERRORS
from indexer import metrics
from indexer.index.outbox import WAITING
from schemas.tables import DeadLetter

log = structlog.get_logger()

PERIOD_SECONDS = 5.0

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
