"""The worker process: follows the outbox and the tracking stream, guards the index, and runs jobs by the clock."""

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog
import uvloop

from core import clients
from core.gc_tuning import collect_less
from core.settings import Settings
from core.tasks import end
from indexer.backends import open_stores
from indexer.feed.consumer import Follower
from indexer.feed.notifier import Announcer
from indexer.index.outbox import LANES
from indexer.jobs import queue
from indexer.jobs.schedule import all_jobs
from indexer.observability.health_server import serve_health
from indexer.observability.outbox_metrics import keep_gauges
from indexer.supervisor import Guard
from tracking.consumer import follow_tracking

log = structlog.get_logger()

LAST_BATCH_SECONDS = 6.0
"""How long a stop waits for the batch in hand; one that is cut short is done again by the next worker."""


def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    collect_less()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run_until_signal(settings))


async def _run_until_signal(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await work(settings, stop)


async def work(settings: Settings, stop: asyncio.Event) -> None:
    async with (
        open_stores(settings) as stores,
        clients.redis(settings.redis_url, timeout=settings.redis_seconds) as redis,
        clients.redis(settings.redis_url, timeout=settings.background_redis_seconds) as patient_redis,
    ):
        announcer = Announcer(stores, redis)
        guard = Guard(settings, stores)
        followers = [Follower(stores, lane, announcer, guard.doubt) for lane in LANES]
        beside = [
            announcer.keep_showing(),
            announcer.keep_telling(),
            guard.run(),
            keep_gauges(stores.postgres),
            follow_tracking(patient_redis, stores.postgres),
            queue.work(settings.redis_url, all_jobs(settings, stores.postgres, guard)),
        ]
        if settings.worker_port is not None:
            beside.append(serve_health(settings.host, settings.worker_port, followers))
        log.info("worker_started")
        await _run_together(followers, beside, stop)
        await announcer.flush()
    log.info("worker_stopped")


async def _run_together(
    followers: Sequence[Follower], beside: Sequence[Coroutine[Any, Any, None]], stop: asyncio.Event
) -> None:
    """Each of `beside` runs until it is cancelled; one that fails ends them all."""
    async with asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(follower.run()) for follower in followers]
        others = [tasks.create_task(coroutine) for coroutine in beside]
        try:
            await stop.wait()
            for follower in followers:
                follower.stop()
            await asyncio.wait(following, timeout=LAST_BATCH_SECONDS)
        finally:
            # The group itself cancels once only when one fails.
            await end((*following, *others))
