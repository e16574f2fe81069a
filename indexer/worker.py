"""The worker process: consumes the outbox and the tracking stream, supervises the index, and runs scheduled jobs."""

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import structlog
import uvloop

from core import clients
from core.clock import watch_clock
from core.concurrency.tasks import cancel_and_wait, task_group
from core.configuration.settings import Settings
from core.gc_tuning import tune_gc
from core.process_metrics import watch_event_loop
from core.tracing.process import start_tracing, stopping_tracing
from indexer.backends import open_backends
from indexer.errors import DirectUrlMismatchError, RedisOwnedError
from indexer.feed.consumer import OutboxConsumer
from indexer.feed.notifier import ChangeNotifier
from indexer.index.direct_url import watch_same_database
from indexer.index.frozen_sessions import end_frozen_sessions_forever
from indexer.index.outbox import DEFAULT_LIMITS, LANES, BatchLimits
from indexer.index.ownership import watch_redis
from indexer.index.worker_heartbeat import record_forever
from indexer.jobs.runner import run_jobs
from indexer.jobs.schedule import scheduled_jobs
from indexer.jobs.scheduler import declare_metrics, run_scheduled
from indexer.observability import index_metrics, outbox_metrics, queue_metrics
from indexer.observability.certificates import watch_certificates
from indexer.observability.collection import collect_forever
from indexer.observability.health_server import run_health_server
from indexer.observability.preflight_metrics import compare_forever
from indexer.schema_drift import watch_columns
from indexer.supervisor import IndexSupervisor
from tracking.consumer import consume_stream

log = structlog.get_logger()

BATCH_SECONDS = 2.5
"""Seconds that a shutdown waits for current batches; an aborted one is repeated by the next worker."""
FINISH_SECONDS = 1.0
"""Seconds that a shutdown takes to refresh the index and to notify caches; another worker does what is left."""


def run(settings: Settings, limits: BatchLimits = DEFAULT_LIMITS) -> None:
    """Run until SIGTERM or SIGINT. Raises: KeyboardInterrupt after SIGINT, when all is finished."""
    tune_gc()
    start_tracing("smarttrip-worker")
    with stopping_tracing(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run_until_signal(settings, limits))


async def _run_until_signal(settings: Settings, limits: BatchLimits) -> None:
    stop = asyncio.Event()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        stop.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    await work(settings, stop, limits)
    if interrupted:
        raise KeyboardInterrupt


async def work(settings: Settings, stop: asyncio.Event, limits: BatchLimits = DEFAULT_LIMITS) -> None:
    """Run until `stop` is set.

    Raises: RedisOwnedError, if the keys become another installation's; DirectUrlMismatchError.
    """
    async with (
        open_backends(settings) as backends,
        clients.own_redis(settings, timeout=settings.redis_seconds) as redis,
        clients.own_redis(settings, timeout=settings.background_redis_seconds) as stream_redis,
    ):
        notifier = ChangeNotifier(backends, redis)
        supervisor = IndexSupervisor(settings, backends)
        consumers = [
            OutboxConsumer(backends, lane, notifier, supervisor.request_check, limits=limits) for lane in LANES
        ]
        jobs = scheduled_jobs(settings, backends.postgres, supervisor)
        declare_metrics(jobs)
        background = [
            notifier.run_refresh(),
            notifier.run_publish(),
            notifier.run_removal(),
            notifier.run_take_over(),
            supervisor.run(),
            collect_forever(partial(outbox_metrics.collect_outbox, backends.postgres), outbox_metrics.PERIOD_SECONDS),
            record_forever(backends.postgres),
            end_frozen_sessions_forever(backends.postgres),
            consume_stream(stream_redis, backends.postgres),
            run_scheduled(backends.postgres, jobs),
            watch_columns(backends, redis),
            watch_redis(stream_redis, backends.postgres),
            watch_same_database(settings),
            run_jobs(settings.redis_url, jobs, prefix=settings.redis_prefix),
            watch_clock(),
            compare_forever(settings, stream_redis),
            collect_forever(partial(queue_metrics.collect_queues, redis), queue_metrics.PERIOD_SECONDS),
            collect_forever(partial(index_metrics.collect_index, backends), index_metrics.PERIOD_SECONDS),
            watch_certificates(settings),
            watch_event_loop(),
        ]
        if settings.worker_port is not None:
            background.append(run_health_server(settings.host, settings.worker_port, consumers))
        log.info("worker_started")
        await _run_all(consumers, background, stop)
        await _finish(notifier)
    log.info("worker_stopped")


async def _finish(notifier: ChangeNotifier) -> None:
    try:
        async with asyncio.timeout(FINISH_SECONDS):
            await notifier.finish()
    except TimeoutError:
        log.warning("changes_left_unpublished")


async def _run_all(
    consumers: Sequence[OutboxConsumer], background: Sequence[Coroutine[Any, Any, None]], stop: asyncio.Event
) -> None:
    """Run consumers and background tasks until `stop` is set or one of them fails, which ends all."""
    async with task_group(RedisOwnedError, DirectUrlMismatchError) as group:
        consuming = [group.create_task(consumer.run()) for consumer in consumers]
        others = [group.create_task(coroutine) for coroutine in background]
        try:
            await stop.wait()
            for consumer in consumers:
                consumer.stop()
            await asyncio.wait(consuming, timeout=BATCH_SECONDS)
        finally:
            # When one fails the group cancels the others only once, which may not be enough: see `cancel_and_wait`.
            await cancel_and_wait((*consuming, *others))
