"""The worker process: follows the outbox and the tracking stream, guards the index, and runs jobs by the clock."""

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog
import uvloop

from core import clients
from core.gc_tuning import tune_gc
from core.settings import Settings
from core.tasks import cancel_and_wait
from indexer.backends import open_backends
from indexer.feed.consumer import OutboxConsumer
from indexer.feed.notifier import ChangeNotifier
from indexer.index.outbox import LANES
from indexer.jobs.runner import run_worker
from indexer.jobs.schedule import scheduled_jobs
from indexer.observability.health_server import run_health_server
from indexer.observability.outbox_metrics import collect_forever
from indexer.supervisor import IndexSupervisor
from tracking.consumer import consume_stream

log = structlog.get_logger()

LAST_BATCH_SECONDS = 6.0
"""How long a stop waits for the batch in hand; one that is cut short is done again by the next worker."""


def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    tune_gc()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run_until_signal(settings))


async def _run_until_signal(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await work(settings, stop)


async def work(settings: Settings, stop: asyncio.Event) -> None:
    async with (
        open_backends(settings) as stores,
        clients.redis(settings.redis_url, timeout=settings.redis_seconds) as redis,
        clients.redis(settings.redis_url, timeout=settings.background_redis_seconds) as patient_redis,
    ):
        announcer = ChangeNotifier(stores, redis)
        guard = IndexSupervisor(settings, stores)
        followers = [OutboxConsumer(stores, lane, announcer, guard.doubt) for lane in LANES]
        beside = [
            announcer.run_refresh(),
            announcer.run_publish(),
            guard.run(),
            collect_forever(stores.postgres),
            consume_stream(patient_redis, stores.postgres),
            run_worker(settings.redis_url, scheduled_jobs(settings, stores.postgres, guard)),
        ]
        if settings.worker_port is not None:
            beside.append(run_health_server(settings.host, settings.worker_port, followers))
        log.info("worker_started")
        await _run_all(followers, beside, stop)
        await announcer.flush()
    log.info("worker_stopped")


async def _run_all(
    followers: Sequence[OutboxConsumer], beside: Sequence[Coroutine[Any, Any, None]], stop: asyncio.Event
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
            await cancel_and_wait((*following, *others))
