"""The worker as a process of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from redis.asyncio import Redis

from core.settings import Settings
from indexer.backends import Backends
from indexer.index.admin import live_index
from indexer.jobs import queue
from indexer.jobs.names import REINDEX
from indexer.worker import _run_all
from scripts.dev_stack.ports import free_port
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, execute, waiting


async def test_a_part_that_fails_ends_the_others_though_one_swallows_its_cancellation() -> None:
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


RUN = "from indexer import worker; from core.settings import load_settings; worker.run(load_settings())"
SOON = 20.0


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": settings.database_url.replace("+asyncpg", ""),
        "REDIS_URL": settings.redis_url,
        "ELASTICSEARCH_URL": settings.elasticsearch_url,
        "ELASTICSEARCH_ALIAS": settings.elasticsearch_alias,
        "WORKER_PORT": str(free_port()),
    }


class Process:
    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self._port = port

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        return await asyncio.wait_for(self._process.wait(), 10)

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self._port}{path}") as answer:
            return answer.status, await answer.text()

    async def is_ready(self) -> bool:
        try:
            return (await self.get("/readyz"))[0] == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def worker(environment: dict[str, str]) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", RUN, env=environment)
    try:
        running = Process(process, int(environment["WORKER_PORT"]))
        await eventually(running.is_ready, SOON)
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def nothing_waits(stores: Backends) -> bool:
    return await waiting(stores.postgres) == 0


async def caught_up(settings: Settings, stores: Backends) -> None:
    await eventually(lambda: nothing_waits(stores), SOON)
    await assert_in_sync(settings)


async def test_it_makes_the_first_index_and_follows(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, no_index: None, environment: dict[str, str]
) -> None:
    trip_id = await catalogue.occurrence()

    async def has_index() -> bool:
        return await live_index(stores.elasticsearch, stores.alias) is not None

    async with worker(environment):
        # The outbox is empty before the index that was made is in use.
        await eventually(has_index, SOON)
        await caught_up(settings, stores)
        await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 3 WHERE id = :id", id=trip_id)
        await caught_up(settings, stores)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(index: str, environment: dict[str, str], number: signal.Signals) -> None:
    async with worker(environment) as process:
        process.signal(number)
        assert await process.ended() == 0


async def test_a_kill_in_the_middle_of_work_loses_nothing(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, index: str, environment: dict[str, str]
) -> None:
    template = await catalogue.template()
    for _ in range(50):
        await catalogue.occurrence(trip_template_id=template)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        async with worker(environment) as process:
            for left in range(10):
                await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = :left", left=left)
                await execute(stores.postgres, "UPDATE trip_templates SET title = title || '.'")
            process.signal(number)
            await process.ended()
    async with worker(environment):
        await caught_up(settings, stores)


async def test_two_of_them_share_the_work(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, index: str, environment: dict[str, str]
) -> None:
    template = await catalogue.template()
    other = {**environment, "WORKER_PORT": str(free_port())}
    async with worker(environment), worker(other):
        for _ in range(100):
            await catalogue.occurrence(trip_template_id=template)
            await execute(stores.postgres, "UPDATE trip_templates SET title = title || '.'")
        await caught_up(settings, stores)


async def test_an_index_dropped_by_hand_comes_back(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, index: str, environment: dict[str, str]
) -> None:
    await catalogue.occurrence()
    async with worker(environment):
        await stores.elasticsearch.indices.delete(index=index)
        await catalogue.occurrence()

        async def built_again() -> bool:
            return await live_index(stores.elasticsearch, stores.alias) is not None

        await eventually(built_again, SOON)
        await caught_up(settings, stores)


async def test_a_reindex_is_made_when_it_is_asked_for(
    settings: Settings, stores: Backends, index: str, environment: dict[str, str], redis: Redis
) -> None:
    async with worker(environment):
        await queue.enqueue(settings.redis_url, REINDEX)

        async def built_anew() -> bool:
            return await live_index(stores.elasticsearch, stores.alias) not in (None, index)

        await eventually(built_anew, SOON)


async def test_it_tells_its_figures(index: str, environment: dict[str, str]) -> None:
    async with worker(environment) as process:
        assert await process.get("/livez") == (200, '{"status": "ok"}')
        status, text = await process.get("/metrics")
    assert status == 200
    for name in ("smarttrip_outbox_rows", "smarttrip_index_lag_seconds", "smarttrip_index_drift_total"):
        assert f"\n{name}" in text
