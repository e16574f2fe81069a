"""The worker as a process of its own."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from redis.asyncio import Redis

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.index.admin import live_index
from indexer.jobs import queue
from indexer.jobs.names import REINDEX
from indexer.worker import _run_all, work
from scripts.errors import ExitCode
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.http_client import http_client
from tests.support.loop_clock import loop_clock
from tests.support.processes import RunningProcess, worker_process
from tests.support.sync import assert_in_sync, execute, waiting


async def test_failing_task_ends_task_that_swallows_cancellation() -> None:
    async def clings() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def fails() -> None:
        raise RuntimeError("a bug")

    running = asyncio.create_task(_run_all([], [clings(), fails()], asyncio.Event()))
    await asyncio.wait([running], timeout=5)
    assert running.done()
    assert isinstance(running.exception(), ExceptionGroup)


SOON = 60.0
STOP_SECONDS = 5.0


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[RunningProcess]:
    """Run a worker once it is ready."""
    async with worker_process(settings) as process:
        await process.wait_until_responding("/readyz")
        yield process


async def stop(process: RunningProcess, number: signal.Signals) -> int:
    process.process.send_signal(number)
    return await asyncio.wait_for(process.process.wait(), 10)


async def nothing_waits(backends: Backends) -> bool:
    return await waiting(backends.postgres) == 0


async def caught_up(settings: Settings, backends: Backends) -> None:
    await eventually(lambda: nothing_waits(backends), SOON)
    await assert_in_sync(settings)


async def test_worker_builds_first_index_and_syncs(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, no_index: None
) -> None:
    trip_id = await catalogue.occurrence()

    async def has_index() -> bool:
        return await live_index(backends.elasticsearch, backends.alias) is not None

    async with worker(settings):
        # The outbox is empty before the index that was made is in use.
        await eventually(has_index, SOON)
        await caught_up(settings, backends)
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 3 WHERE id = :id", id=trip_id)
        await caught_up(settings, backends)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, ExitCode.INTERRUPTED)])
async def test_signal_shuts_down_cleanly(settings: Settings, index: str, number: signal.Signals, code: int) -> None:
    async with worker(settings) as process:
        assert await stop(process, number) == code


async def test_killed_worker_loses_nothing(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, index: str
) -> None:
    template = await catalogue.template()
    for _ in range(50):
        await catalogue.occurrence(trip_template_id=template)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        async with worker(settings) as process:
            for left in range(10):
                await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = :left", left=left)
                await execute(backends.postgres, "UPDATE trip_templates SET title = title || '.'")
            await stop(process, number)
    async with worker(settings):
        await caught_up(settings, backends)


async def test_two_workers_share_the_work(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, index: str
) -> None:
    template = await catalogue.template()
    async with worker(settings), worker(settings):
        for _ in range(100):
            await catalogue.occurrence(trip_template_id=template)
            await execute(backends.postgres, "UPDATE trip_templates SET title = title || '.'")
        await caught_up(settings, backends)


async def test_index_dropped_by_hand_is_rebuilt(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, index: str
) -> None:
    await catalogue.occurrence()
    async with worker(settings):
        await backends.elasticsearch.indices.delete(index=index)
        await catalogue.occurrence()

        async def built_again() -> bool:
            return await live_index(backends.elasticsearch, backends.alias) is not None

        await eventually(built_again, SOON)
        await caught_up(settings, backends)


async def test_requested_reindex_is_run(settings: Settings, backends: Backends, index: str, redis: Redis) -> None:
    async with worker(settings):
        await queue.enqueue(settings.redis_url, REINDEX)

        async def built_anew() -> bool:
            return await live_index(backends.elasticsearch, backends.alias) not in (None, index)

        await eventually(built_anew, SOON)


async def test_worker_exports_metrics(settings: Settings, index: str) -> None:
    async with worker(settings) as process, http_client(process.url) as client:
        alive, metrics = await client.get("/livez"), await client.get("/metrics")
    assert (alive.status_code, alive.text) == (200, '{"status": "ok"}')
    assert metrics.status_code == 200
    for name in ("smarttrip_outbox_rows", "smarttrip_index_lag_seconds", "smarttrip_index_drift_total"):
        assert f"\n{name}" in metrics.text


@pytest.mark.slow
@pytest.mark.parametrize("mode", [Mode.STALL, Mode.MUTE])
async def test_stop_takes_seconds_while_elasticsearch_stalls(
    settings: Settings, backends: Backends, index: str, catalogue: CatalogueFactory, mode: Mode
) -> None:
    async with FaultProxy(settings.elasticsearch_url) as proxy:
        stop = asyncio.Event()
        stalled = settings.model_copy(update={"elasticsearch_url": proxy.url})
        running = asyncio.create_task(work(stalled, stop))
        await catalogue.occurrence()
        await caught_up(settings, backends)
        await proxy.switch(mode)
        sent = sum(len(connection.sent) for connection in proxy.connections)
        await catalogue.occurrence()
        await eventually(lambda: sum(len(connection.sent) for connection in proxy.connections) > sent, SOON)
        async with loop_clock() as clock:
            stop.set()
            await running
        assert clock.seconds < STOP_SECONDS
    assert await waiting(backends.postgres) >= 1
