"""Run jobs on request, with arq."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson
import structlog
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.exceptions import RedisError

from core.concurrency.retries import restart_backoff, retry_forever
from core.tracing import spans
from indexer.jobs.queue import Job, connect, trace_of
from indexer.jobs.scheduler import run_instrumented

log = structlog.get_logger()

POLL_SECONDS = 0.5
MAX_TRIES = 5
"""Runs of a job that shutdowns may cut short. A requested job that fails is not retried."""
FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 10.0
"""Pauses between two attempts to connect to Redis."""


async def run_jobs(
    url: str,
    jobs: Sequence[Job],
    *,
    prefix: str = "",
    poll_seconds: float = POLL_SECONDS,
    first_retry_seconds: float = FIRST_RETRY_SECONDS,
) -> None:
    """Run requested jobs until cancelled, over all outages of Redis."""
    retrying = retry_forever(
        (RedisError, OSError), first=first_retry_seconds, longest=LONGEST_RETRY_SECONDS, on_failure=_log_failure
    )
    async for attempt in retrying:
        with attempt:
            started = asyncio.get_running_loop().time()
            try:
                await _run_until_failure(url, prefix, jobs, poll_seconds)
            finally:
                if asyncio.get_running_loop().time() > started + LONGEST_RETRY_SECONDS:
                    restart_backoff(attempt)


def _log_failure(error: BaseException, retry_after: float) -> None:
    log.warning("jobs_interrupted", error=type(error).__name__)


async def _run_until_failure(url: str, prefix: str, jobs: Sequence[Job], poll_seconds: float) -> None:
    async with connect(url, prefix) as redis:
        worker = _worker(redis, jobs, poll_seconds)
        try:
            await worker.async_run()
        finally:
            # Closing raises the error that ended the worker once more, and that its jobs were cancelled.
            with suppress(RedisError, OSError, asyncio.CancelledError):
                await worker.close()


def _worker(redis: ArqRedis, jobs: Sequence[Job], poll_seconds: float) -> Worker:
    return Worker(
        functions=[func(_instrumented(job), name=job.name, timeout=job.timeout) for job in jobs],
        redis_pool=redis,
        queue_name=redis.default_queue_name,
        handle_signals=False,
        keep_result=0,
        max_tries=MAX_TRIES,
        poll_delay=poll_seconds,
        health_check_interval=15,
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
        log_results=False,
    )


def _instrumented(job: Job) -> Any:
    async def run(context: dict[Any, Any]) -> None:
        with spans.follow(f"job {job.name}", [trace_of(context["job_id"])], kind="consumer"):
            await run_instrumented(job)

    return run
