"""Run jobs at their times (UTC), by the clock of Postgres, whichever worker is free.

What succeeded is recorded in Postgres, so a time that passed while no worker ran is caught up. A job that fails is
tried again. Times in the future, which a clock that was wrong has left behind, count as unknown.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from core.concurrency.tasks import background_task, task_group
from core.errors import BACKEND_ERRORS
from core.metrics.labels import with_values
from indexer import metrics
from indexer.jobs.queue import Job
from schemas.tables import JobRun

log = structlog.get_logger()

POLL_SECONDS = 5.0

RETRY_SECONDS = (30, 120, 480, 1200)
"""Pauses after the failures of a job: five attempts within the hour. After the last it waits for its next time."""

CLAIM_SECONDS = 60
"""How long a job stays claimed by a worker that was killed."""
RENEW_SECONDS = 20.0


def declare_metrics(jobs: Sequence[Job]) -> None:
    """Have the metrics of these jobs exist from now on."""
    for metric in (metrics.JOBS, metrics.JOB_FAILURES):
        with_values(metric, [job.name for job in jobs])
    with_values(metrics.JOB_LAST_SUCCESS, [job.name for job in _scheduled(jobs)])


async def run_scheduled(engine: AsyncEngine, jobs: Sequence[Job], *, poll_seconds: float = POLL_SECONDS) -> None:
    """Run jobs until cancelled, over all outages of Postgres."""
    scheduled = _scheduled(jobs)
    async with task_group() as group:
        while True:
            try:
                for job, started_at in await claim_due(engine, scheduled):
                    group.create_task(_run(engine, job, started_at))
            except BACKEND_ERRORS as error:
                log.warning("jobs_interrupted", error=type(error).__name__)
            await asyncio.sleep(poll_seconds)


def _scheduled(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.minutes is not None]


def _plausible(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """Return the time, or NULL, which counts as unknown, if it is infinite or one that Python may not know."""
    years = text("interval '100 years'")
    return case((column.between(func.now() - years, func.now() + years), column)).label(column.key)


RUNS = select(
    JobRun.name, *map(_plausible, (JobRun.settled_at, JobRun.retry_at, JobRun.claimed_until))
).with_for_update()
"""The state of all jobs, locked until the end of the transaction."""


async def claim_due(engine: AsyncEngine, jobs: Sequence[Job]) -> list[tuple[Job, datetime]]:
    """Claim the jobs that are due, and return them with the current time of Postgres."""
    async with engine.begin() as connection:
        rows = [{"name": job.name} for job in jobs]
        await connection.execute(insert(JobRun).values(rows).on_conflict_do_nothing())
        runs = {run.name: run for run in await connection.execute(RUNS)}
        # Read under the lock: what another worker has written while this one waited for it would lie in the future.
        now: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
        due = [job for job in jobs if is_due(job, dict(runs[job.name]._mapping), now)]
        claim = update(JobRun).where(JobRun.name.in_([job.name for job in due]))
        await connection.execute(claim.values(claimed_until=now + timedelta(seconds=CLAIM_SECONDS)))
    return [(job, now) for job in due]


def is_due(job: Job, run: dict[Any, Any], now: datetime) -> bool:
    """Return whether a scheduled time has come since the last run, and neither a claim nor a pause lasts."""
    settled_at = run["settled_at"]
    passed = settled_at is None or settled_at > now or settled_at < last_time(job, now)
    return passed and not (
        _lasts(run["claimed_until"], now, CLAIM_SECONDS) or _lasts(run["retry_at"], now, RETRY_SECONDS[-1])
    )


def _lasts(until: datetime | None, now: datetime, longest: float) -> bool:
    """Return whether a period of at most `longest` seconds has not ended; beyond that, the clock was wrong."""
    return until is not None and now < until <= now + timedelta(seconds=longest)


def last_time(job: Job, now: datetime) -> datetime:
    """Return the latest scheduled time up to `now`, which is in UTC."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return max(
        time
        for hours in range(25)
        if job.hours is None or (hour - timedelta(hours=hours)).hour in job.hours
        for minute in job.minutes or ()
        if (time := hour - timedelta(hours=hours) + timedelta(minutes=minute)) <= now
    )


async def _run(engine: AsyncEngine, job: Job, started_at: datetime) -> None:
    try:
        async with background_task(_renew(engine, job.name)), asyncio.timeout(job.timeout):
            await run_instrumented(job)
    except Exception as error:
        log.exception("job_failed", job=job.name)
        await _record(engine, job.name, started_at, error)
    else:
        await _record(engine, job.name, started_at, None)


async def run_instrumented(job: Job) -> None:
    """Run the job, and record its duration and failures as metrics."""
    with metrics.JOBS.labels(job.name).time(), metrics.JOB_FAILURES.labels(job.name).count_exceptions():
        await job.run()


async def _renew(engine: AsyncEngine, name: str) -> None:
    """Renew the claim until cancelled."""
    until = func.clock_timestamp() + timedelta(seconds=CLAIM_SECONDS)
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            async with engine.begin() as connection:
                await connection.execute(update(JobRun).where(JobRun.name == name).values(claimed_until=until))
        except BACKEND_ERRORS as error:
            log.warning("jobs_interrupted", error=type(error).__name__)


async def _record(engine: AsyncEngine, name: str, started_at: datetime, error: Exception | None) -> None:
    """Record the outcome of a run. If that fails, too, the job runs again when its claim has ended."""
    try:
        async with engine.begin() as connection:
            chosen = JobRun.name == name
            failures = (await connection.execute(select(JobRun.failures).where(chosen))).scalar_one()
            values = _success(started_at) if error is None else _failure(started_at, failures)
            await connection.execute(update(JobRun).where(chosen).values(claimed_until=None, **values))
    except BACKEND_ERRORS as failure:
        log.warning("jobs_interrupted", error=type(failure).__name__)


def _success(started_at: datetime) -> dict[str, object]:
    return {"succeeded_at": started_at, "settled_at": started_at, "retry_at": None, "failures": 0}


def _failure(started_at: datetime, failures: int) -> dict[str, object]:
    if failures >= len(RETRY_SECONDS):
        return {"settled_at": started_at, "retry_at": None, "failures": 0}
    pause = timedelta(seconds=RETRY_SECONDS[failures])
    return {"retry_at": func.clock_timestamp() + pause, "failures": failures + 1}
