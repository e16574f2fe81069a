import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.concurrency.tasks import cancel_and_wait
from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.feed.batch import process_batch
from indexer.feed.consumer import OutboxConsumer
from indexer.feed.notifier import ChangeNotifier
from indexer.index.outbox import DIRECT, FANNED_OUT, LANES, BatchLimits
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.sync import assert_in_sync, execute, waiting


class CheckRequests:
    count = 0

    def __call__(self) -> None:
        self.count += 1


@asynccontextmanager
async def consuming(
    backends: Backends, redis: Redis, checks: CheckRequests | None = None
) -> AsyncIterator[list[OutboxConsumer]]:
    """Run a consumer for each lane."""
    notifier = ChangeNotifier(backends, redis)
    consumers = [OutboxConsumer(backends, lane, notifier, checks or CheckRequests()) for lane in LANES]
    background = (notifier.run_refresh(), notifier.run_publish())
    tasks = [asyncio.create_task(work) for work in (*(consumer.run() for consumer in consumers), *background)]
    try:
        yield consumers
    finally:
        await cancel_and_wait(tasks)


async def is_empty(engine: AsyncEngine) -> bool:
    return await waiting(engine) == 0


async def test_change_is_searchable_soon_after_commit(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, index: str, redis: Redis
) -> None:
    trip_id = await catalogue.occurrence()
    async with consuming(backends, redis):
        await eventually(lambda: is_empty(backends.postgres))
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 77 WHERE id = :id", id=trip_id)
        committed = time.monotonic()

        async def found() -> bool:
            answer = await backends.elasticsearch.count(index=backends.alias, query={"term": {"spots": 77}})
            return bool(answer["count"])

        await eventually(found)
    assert time.monotonic() - committed < 1.5


async def test_rows_from_before_start_are_processed(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, index: str, redis: Redis
) -> None:
    await catalogue.occurrence()
    async with consuming(backends, redis):
        await eventually(lambda: is_empty(backends.postgres))
    await assert_in_sync(settings)


async def test_progress_is_exported_by_lane(backends: Backends, index: str, redis: Redis) -> None:
    def progress(lane: str) -> float:
        return REGISTRY.get_sample_value("smarttrip_feed_progress_timestamp_seconds", {"lane": lane}) or 0.0

    began = time.time()
    consumer = OutboxConsumer(backends, FANNED_OUT, ChangeNotifier(backends, redis), CheckRequests())
    running = asyncio.create_task(consumer.run())
    await eventually(lambda: progress("fanned") > began)
    assert progress("direct") < began
    assert progress("causes") < began
    await cancel_and_wait([running])


async def test_stop_finishes_current_batch(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, index: str, redis: Redis
) -> None:
    await catalogue.occurrence()
    consumer = OutboxConsumer(backends, DIRECT, ChangeNotifier(backends, redis), CheckRequests())
    running = asyncio.create_task(consumer.run())
    await asyncio.sleep(0)
    consumer.stop()
    await asyncio.wait_for(running, 5)
    await assert_no_row_is_locked(backends)


async def assert_no_row_is_locked(backends: Backends) -> None:
    async with backends.postgres.begin() as connection:
        await connection.exec_driver_sql("SELECT id FROM smarttrip.outbox FOR UPDATE NOWAIT")


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("mode", [Mode.CUT, Mode.RESET])
async def test_consumer_survives_elasticsearch_outage(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, redis: Redis, mode: Mode
) -> None:
    async with (
        FaultProxy(settings.elasticsearch_url) as proxy,
        clients.elasticsearch(proxy.url, max_retries=0) as es,
    ):
        await proxy.switch(mode)
        broken = Backends(backends.postgres, es, backends.alias)
        async with consuming(broken, redis):
            await catalogue.occurrence()

            async def tried() -> bool:
                async with backends.postgres.connect() as connection:
                    statement = "SELECT max(attempts) FROM smarttrip.outbox"
                    return bool((await connection.exec_driver_sql(statement)).scalar())

            await eventually(tried)
            await proxy.switch(Mode.PASS)
            await eventually(lambda: is_empty(backends.postgres), within=15)
    await assert_in_sync(settings)


async def test_postgres_outage_requests_check(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, index: str, redis: Redis
) -> None:
    async with FaultProxy(settings.database_url) as proxy:
        engine = clients.postgres(proxy.url)
        checks = CheckRequests()
        async with consuming(Backends(engine, backends.elasticsearch, backends.alias), redis, checks=checks):
            await proxy.switch(Mode.CUT)
            await catalogue.occurrence()
            await eventually(lambda: checks.count > 0)
            await proxy.switch(Mode.PASS)
            await eventually(lambda: is_empty(backends.postgres), within=15)
        await engine.dispose()
    await assert_in_sync(settings)


async def test_missing_index_requests_check_without_progress(
    catalogue: CatalogueFactory, backends: Backends, no_index: None, redis: Redis
) -> None:
    await catalogue.occurrence()
    checks = CheckRequests()
    async with consuming(backends, redis, checks=checks) as consumers:
        begun = [consumer.progressed_at for consumer in consumers]
        await eventually(lambda: checks.count > 1)
        assert [consumer.progressed_at for consumer in consumers] == begun


async def test_failing_rows_are_no_progress(
    catalogue: CatalogueFactory, backends: Backends, index: str, redis: Redis
) -> None:
    await catalogue.occurrence()
    await execute(backends.postgres, "UPDATE smarttrip.outbox SET kind = 'galaxy'")
    async with consuming(backends, redis) as (*_, causes):
        begun = causes.progressed_at

        async def tried_twice() -> bool:
            async with backends.postgres.connect() as connection:
                found = await connection.exec_driver_sql("SELECT max(attempts) FROM smarttrip.outbox")
                return int(found.scalar() or 0) >= 2

        await eventually(tried_twice)
        assert causes.progressed_at == begun
        await execute(backends.postgres, "UPDATE trip_templates SET title = title || '!'")
        await eventually(lambda: causes.progressed_at > begun)


@pytest.mark.usefixtures("index")
async def test_single_change_overtakes_import_and_fan_out(catalogue: CatalogueFactory, backends: Backends) -> None:
    limits = BatchLimits(newest=2, oldest=2, fan_out=2)
    template = await catalogue.template()
    for _ in range(30):
        await catalogue.occurrence(trip_template_id=template)
    await process_batch(backends, limits=limits, retry=True)
    late = await catalogue.occurrence()
    batch = await process_batch(backends, limits=limits, retry=True)
    assert late in {row.row_id for row in batch.done}
    assert await waiting(backends.postgres) > 20
