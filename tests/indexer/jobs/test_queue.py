import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from core.concurrency.tasks import cancel_and_wait
from core.configuration.settings import Settings
from indexer.jobs import queue
from indexer.jobs.queue import Job
from indexer.jobs.runner import run_jobs
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


@pytest.fixture(autouse=True)
async def empty_queue(redis: Redis) -> None:
    await redis.flushdb()


class Count:
    """A job that counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1

    def job(self, name: str = "count") -> Job:
        return Job(name, self, timeout=5)


@asynccontextmanager
async def working(url: str, jobs: Sequence[Job]) -> AsyncIterator[None]:
    task = asyncio.create_task(run_jobs(url, jobs, poll_seconds=0.05, first_retry_seconds=0.1))
    try:
        yield
        assert not task.done()
    finally:
        await cancel_and_wait([task])


async def test_enqueued_job_runs_once(settings: Settings) -> None:
    count = Count()
    async with working(settings.redis_url, [count.job()]):
        await queue.enqueue(settings.redis_url, "count")
        await eventually(lambda: count.runs == 1)
        await queue.enqueue(settings.redis_url, "count")
        await eventually(lambda: count.runs == 2)


async def test_job_enqueued_without_worker_runs_later(settings: Settings) -> None:
    count = Count()
    await queue.enqueue(settings.redis_url, "count")
    async with working(settings.redis_url, [count.job()]):
        await eventually(lambda: count.runs == 1)


async def test_failing_job_stops_no_other(settings: Settings) -> None:
    count = Count()

    async def fail() -> None:
        raise ValueError

    async with working(settings.redis_url, [Job("fail", fail, timeout=5), count.job()]):
        await queue.enqueue(settings.redis_url, "fail")
        await queue.enqueue(settings.redis_url, "count")
        await eventually(lambda: count.runs == 1)


async def test_jobs_run_after_redis_outage(settings: Settings) -> None:
    count = Count()
    async with FaultProxy(settings.redis_url) as proxy, working(proxy.url, [count.job()]):
        await queue.enqueue(settings.redis_url, "count")
        await eventually(lambda: count.runs == 1)
        await proxy.switch(Mode.CUT)
        await queue.enqueue(settings.redis_url, "count")
        await proxy.switch(Mode.PASS)
        await eventually(lambda: count.runs == 2, within=15)


async def test_jobs_run_after_redis_flush(settings: Settings, redis: Redis) -> None:
    count = Count()
    async with working(settings.redis_url, [count.job()]):
        await queue.enqueue(settings.redis_url, "count")
        await eventually(lambda: count.runs == 1)
        await redis.flushdb()
        await queue.enqueue(settings.redis_url, "count")
        await eventually(lambda: count.runs == 2)


async def test_jobs_are_stored_as_json(settings: Settings, redis: Redis) -> None:
    await queue.enqueue(settings.redis_url, "count")
    (key,) = [name async for name in redis.scan_iter("arq:job:*")]
    body = await redis.get(key)
    assert body.startswith(b"{")
    assert b'"count"' in body


async def test_job_of_an_api_whose_clock_is_ahead_runs_now(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    count = Count()
    with monkeypatch.context() as patch:
        patch.setattr("arq.connections.timestamp_ms", lambda: round(time.time() * 1000) + 300_000)
        await queue.enqueue(settings.redis_url, "count")
    async with working(settings.redis_url, [count.job()]):
        await eventually(lambda: count.runs == 1)
