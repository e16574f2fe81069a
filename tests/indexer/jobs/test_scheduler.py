"""Scheduled jobs run at their times in UTC, are caught up and tried again, and survive clocks that jump."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from core.concurrency.tasks import cancel_and_wait
from indexer.jobs.queue import Job
from indexer.jobs.scheduler import RETRY_SECONDS, RUNS, claim_due, last_time, run_scheduled
from schemas.tables import JobRun
from tests.support import odd_values
from tests.support.eventually import eventually
from tests.support.locks import waits_for_a_lock
from tests.support.sync import execute

TIMES = [column.key for column in JobRun.__table__.columns if column.key.endswith(("_at", "_until"))]


class Recorder:
    """A job that counts its runs, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.runs = 0
        self._failures = failures

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs <= self._failures:
            raise ValueError

    def job(self) -> Job:
        """Return a job whose time was a minute ago, and comes again in an hour."""
        return Job("count", self, timeout=5, minutes=frozenset({(datetime.now(UTC).minute - 1) % 60}))


@asynccontextmanager
async def scheduling(engine: AsyncEngine, job: Job, workers: int = 1) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(run_scheduled(engine, [job], poll_seconds=0.02)) for _ in range(workers)]
    try:
        with capture_logs():
            yield
        assert not any(task.done() for task in tasks)
    finally:
        await cancel_and_wait(tasks)


async def set_times(engine: AsyncEngine, **hours: float) -> None:
    """Set columns of the job's row to so many hours from now."""
    await execute(engine, "INSERT INTO smarttrip.job_runs (name) VALUES ('count') ON CONFLICT DO NOTHING")
    for column, value in hours.items():
        statement = f"UPDATE smarttrip.job_runs SET {column} = now() + make_interval(secs => :secs)"
        await execute(engine, statement, secs=value * 3600)


def hours_from_now(hours: float) -> ColumnElement[datetime]:
    return func.clock_timestamp() + timedelta(hours=hours)


async def runs_of(engine: AsyncEngine) -> Sequence[Row[Any]]:
    async with engine.connect() as connection:
        return (await connection.execute(select(JobRun.__table__))).all()


async def settled(engine: AsyncEngine) -> bool:
    (run,) = await runs_of(engine)
    return run.claimed_until is None and run.retry_at is None


@pytest.mark.parametrize(
    ("hours", "minutes", "now", "expected"),
    [
        (None, {17}, (2027, 3, 1, 5, 16), (2027, 3, 1, 4, 17)),
        (None, {0, 15, 30, 45}, (2027, 1, 1, 0, 0), (2027, 1, 1, 0, 0)),
        ({1}, {23}, (2027, 3, 28, 1, 22), (2027, 3, 27, 1, 23)),
        ({1}, {23}, (2028, 2, 29, 23, 59), (2028, 2, 29, 1, 23)),
    ],
)
def test_last_time_is_in_utc(
    hours: set[int] | None, minutes: set[int], now: tuple[Any, ...], expected: tuple[Any, ...]
) -> None:
    job = Job("count", Recorder(), 5, None if hours is None else frozenset(hours), frozenset(minutes))
    assert last_time(job, datetime(*now).replace(tzinfo=UTC)) == datetime(*expected).replace(tzinfo=UTC)  # noqa: DTZ001


async def test_missed_time_is_caught_up_once_by_several_workers(database: AsyncEngine) -> None:
    await set_times(database, settled_at=-3)
    recorder = Recorder()
    async with scheduling(database, recorder.job(), workers=3):
        await eventually(lambda: recorder.runs == 1)
        await eventually(lambda: settled(database))
        await asyncio.sleep(0.1)
        (run,) = await runs_of(database)
        assert recorder.runs == 1
        assert datetime.now(UTC) - run.succeeded_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    "change", [{"claimed_until": 1 / 60}, {"settled_at": 0, "succeeded_at": 0}], ids=["claim", "end"]
)
async def test_worker_that_waits_for_a_lock_runs_nothing_twice(database: AsyncEngine, change: dict[str, float]) -> None:
    await set_times(database, settled_at=-3)
    job = Recorder().job()
    async with database.begin() as other:
        await other.execute(RUNS)
        claim = asyncio.create_task(claim_due(database, [job]))
        await eventually(lambda: waits_for_a_lock(database))
        await other.execute(update(JobRun).values({column: hours_from_now(hours) for column, hours in change.items()}))
    assert await claim == []


@pytest.mark.parametrize("column", TIMES)
async def test_time_left_by_a_clock_ahead_delays_nothing(database: AsyncEngine, column: str) -> None:
    await set_times(database, settled_at=-3)
    await set_times(database, **{column: 9600})
    recorder = Recorder()
    async with scheduling(database, recorder.job()):
        await eventually(lambda: recorder.runs >= 1)


@pytest.mark.parametrize("value", odd_values.TIMES)
@pytest.mark.parametrize("column", TIMES)
async def test_time_that_python_does_not_know_ends_nothing(database: AsyncEngine, column: str, value: str) -> None:
    await set_times(database, settled_at=-3)
    await execute(database, f"UPDATE smarttrip.job_runs SET {column} = {value}")
    recorder = Recorder()
    async with scheduling(database, recorder.job()):
        await eventually(lambda: recorder.runs >= 1)


async def test_failed_job_is_tried_five_times_within_the_hour(database: AsyncEngine) -> None:
    await set_times(database, settled_at=-3)
    recorder = Recorder(failures=100)
    attempts = len(RETRY_SECONDS) + 1
    assert sum(RETRY_SECONDS) < 3600
    async with scheduling(database, recorder.job()):
        for attempt in range(1, attempts + 1):
            await eventually(lambda attempt=attempt: recorder.runs == attempt)  # type: ignore[misc]
            await eventually(lambda: released(database))
            if attempt < attempts:
                (run,) = await runs_of(database)
                assert run.failures == attempt
                await set_times(database, retry_at=-1)
    (run,) = await runs_of(database)
    assert (run.failures, run.succeeded_at) == (0, None)


async def released(engine: AsyncEngine) -> bool:
    (run,) = await runs_of(engine)
    return run.claimed_until is None


async def test_job_that_fails_once_succeeds_later(database: AsyncEngine) -> None:
    await set_times(database, settled_at=-3)
    recorder = Recorder(failures=1)
    async with scheduling(database, recorder.job()):
        await eventually(lambda: recorder.runs == 1)
        await eventually(lambda: released(database))
        await set_times(database, retry_at=-1)
        await eventually(lambda: recorder.runs == 2)
        await eventually(lambda: settled(database))
    (run,) = await runs_of(database)
    assert run.succeeded_at is not None


async def test_claimed_job_is_left_to_its_worker(database: AsyncEngine) -> None:
    await set_times(database, settled_at=-3, claimed_until=1 / 120)
    recorder = Recorder()
    async with scheduling(database, recorder.job()):
        await asyncio.sleep(0.2)
        assert recorder.runs == 0
        await set_times(database, claimed_until=-1)
        await eventually(lambda: recorder.runs == 1)
