"""Run jobs on schedule and on request, with arq."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson
import structlog
from arq import cron
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.exceptions import RedisError

from indexer import metrics
from indexer.jobs.queue import NAME, Job, connect

log = structlog.get_logger()

POLL_SECONDS = 0.5
MAX_TRIES = 5
"""How often a job may be cut short by a stop; one that fails is left for its next time."""
FIRST_PAUSE_SECONDS = 0.5
LAST_PAUSE_SECONDS = 10.0


async def run_worker(url: str, jobs: Sequence[Job]) -> None:
    """Runs until it is cancelled, over all outages of Redis."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await _work_once(url, jobs)
        except (RedisError, OSError) as error:
            log.warning("jobs_interrupted", error=type(error).__name__)
        lasted = asyncio.get_running_loop().time() - started
        pause = FIRST_PAUSE_SECONDS if lasted > LAST_PAUSE_SECONDS else min(2 * pause, LAST_PAUSE_SECONDS)
        await asyncio.sleep(pause)


async def _work_once(url: str, jobs: Sequence[Job]) -> None:
    async with connect(url) as redis:
        worker = _worker(redis, jobs)
        try:
            await worker.async_run()
        finally:
            # It raises what ended its jobs, and that they were cancelled.
            with suppress(RedisError, OSError, asyncio.CancelledError):
                await worker.close()


def _worker(redis: ArqRedis, jobs: Sequence[Job]) -> Worker:
    return Worker(
        functions=[func(_instrumented(job), name=job.name, timeout=job.timeout) for job in jobs],
        cron_jobs=[
            cron(
                _instrumented(job),
                name=f"cron:{job.name}",
                hour=None if job.hours is None else set(job.hours),
                minute=set(job.minutes),
                timeout=job.timeout,
                max_tries=MAX_TRIES,
            )
            for job in jobs
            if job.minutes is not None
        ],
        redis_pool=redis,
        queue_name=NAME,
        handle_signals=False,
        keep_result=0,
        max_tries=MAX_TRIES,
        poll_delay=POLL_SECONDS,
        health_check_interval=15,
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
        log_results=False,
    )


def _instrumented(job: Job) -> Any:
    async def run(context: dict[Any, Any]) -> None:
        with metrics.JOBS.labels(job.name).time(), metrics.JOB_FAILURES.labels(job.name).count_exceptions():
            await job.run()

    return run
