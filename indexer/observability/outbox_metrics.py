"""Collect metrics that no batch observes: the outbox, dead letters, and what all workers know of jobs."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer import metrics
from indexer.index.outbox import BACKLOG
from indexer.jobs.names import VERIFY
from schemas.tables import DeadLetter, JobRun

PERIOD_SECONDS = 5.0

JOB_RUNS = select(JobRun.name, func.extract("epoch", JobRun.succeeded_at), JobRun.result)

DEAD_LETTERS = select(func.count()).select_from(DeadLetter)


async def collect_outbox(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        backlog = (await connection.execute(BACKLOG)).one()
        dead_letters = await connection.scalar(DEAD_LETTERS)
        runs = (await connection.execute(JOB_RUNS)).all()
    metrics.DEPTH.set(backlog.rows)
    metrics.OLDEST.set(float(backlog.oldest))
    metrics.ATTEMPTS.set(backlog.attempts)
    metrics.DEAD.set(dead_letters or 0)
    for name, succeeded_at, result in runs:
        if succeeded_at is not None:
            metrics.JOB_LAST_SUCCESS.labels(name).set(float(succeeded_at))
        if name == VERIFY and result is not None:
            metrics.DRIFT.set(result)
