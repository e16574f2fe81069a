import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.settings import Settings
from core.tasks import cancel_and_wait
from indexer.backends import Backends
from indexer.feed.batch import process_batch
from indexer.feed.consumer import OutboxConsumer
from indexer.feed.notifier import ChangeNotifier
from indexer.index.outbox import DIRECT, FANNED, LANES, BatchLimits
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.sync import assert_in_sync, execute, waiting


class Doubts:
    count = 0

    def __call__(self) -> None:
        self.count += 1


@asynccontextmanager
async def following(
    stores: Backends, redis: Redis, doubts: Doubts | None = None
) -> AsyncIterator[list[OutboxConsumer]]:
    """Each lane by a follower of its own."""
    announcer = ChangeNotifier(stores, redis)
    followers = [OutboxConsumer(stores, lane, announcer, doubts or Doubts()) for lane in LANES]
    beside = (announcer.run_refresh(), announcer.run_publish())
    tasks = [asyncio.create_task(work) for work in (*(follower.run() for follower in followers), *beside)]
    try:
        yield followers
    finally:
        await cancel_and_wait(tasks)


async def nothing_waits(engine: AsyncEngine) -> bool:
    return await waiting(engine) == 0


async def test_a_change_is_searchable_soon_after_its_commit(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, index: str, redis: Redis
) -> None:
    trip_id = await catalogue.occurrence()
    async with following(stores, redis):
        await eventually(lambda: nothing_waits(stores.postgres))
        await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 77 WHERE id = :id", id=trip_id)
        committed = time.monotonic()

        async def found() -> bool:
            answer = await stores.elasticsearch.count(index=stores.alias, query={"term": {"spots": 77}})
            return bool(answer["count"])

        await eventually(found)
    assert time.monotonic() - committed < 1.5


async def test_what_waited_before_it_began_is_done(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, index: str, redis: Redis
) -> None:
    await catalogue.occurrence()
    async with following(stores, redis):
        await eventually(lambda: nothing_waits(stores.postgres))
    await assert_in_sync(settings)


async def test_a_lane_that_stands_still_is_seen_beside_others_that_get_on(
    stores: Backends, index: str, redis: Redis
) -> None:
    def progress(lane: str) -> float:
        return REGISTRY.get_sample_value("smarttrip_feed_progress_timestamp_seconds", {"lane": lane}) or 0.0

    began = time.time()
    follower = OutboxConsumer(stores, FANNED, ChangeNotifier(stores, redis), Doubts())
    running = asyncio.create_task(follower.run())
    await eventually(lambda: progress("fanned") > began)
    assert progress("direct") < began
    assert progress("causes") < began
    await cancel_and_wait([running])


async def test_a_stop_ends_it_after_the_batch_in_hand(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, index: str, redis: Redis
) -> None:
    await catalogue.occurrence()
    follower = OutboxConsumer(stores, DIRECT, ChangeNotifier(stores, redis), Doubts())
    running = asyncio.create_task(follower.run())
    await asyncio.sleep(0)
    follower.stop()
    await asyncio.wait_for(running, 5)
    await assert_no_claim_is_left(stores)


async def assert_no_claim_is_left(stores: Backends) -> None:
    async with stores.postgres.begin() as connection:
        await connection.exec_driver_sql("SELECT id FROM smarttrip.outbox FOR UPDATE NOWAIT")


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("mode", [Mode.CUT, Mode.RESET])
async def test_it_goes_on_when_elasticsearch_is_back(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, redis: Redis, mode: Mode
) -> None:
    async with (
        FaultProxy(settings.elasticsearch_url) as proxy,
        clients.elasticsearch(proxy.url, max_retries=0) as es,
    ):
        await proxy.switch(mode)
        doubtful = Backends(stores.postgres, es, stores.alias)
        async with following(doubtful, redis):
            await catalogue.occurrence()

            async def tried() -> bool:
                async with stores.postgres.connect() as connection:
                    statement = "SELECT max(attempts) FROM smarttrip.outbox"
                    return bool((await connection.exec_driver_sql(statement)).scalar())

            await eventually(tried)
            await proxy.switch(Mode.PASS)
            await eventually(lambda: nothing_waits(stores.postgres), within=15)
    await assert_in_sync(settings)


async def test_it_goes_on_when_postgres_is_back_and_doubts_that_it_is_the_same(
    settings: Settings, catalogue: CatalogueFactory, stores: Backends, index: str, redis: Redis
) -> None:
    async with FaultProxy(settings.database_url) as proxy:
        engine = clients.postgres(proxy.url)
        doubts = Doubts()
        async with following(Backends(engine, stores.elasticsearch, stores.alias), redis, doubts=doubts):
            await proxy.switch(Mode.CUT)
            await catalogue.occurrence()
            await eventually(lambda: doubts.count > 0)
            await proxy.switch(Mode.PASS)
            await eventually(lambda: nothing_waits(stores.postgres), within=15)
        await engine.dispose()
    await assert_in_sync(settings)


async def test_a_missing_index_is_doubted_and_progress_is_not_claimed(
    catalogue: CatalogueFactory, stores: Backends, no_index: None, redis: Redis
) -> None:
    await catalogue.occurrence()
    doubts = Doubts()
    async with following(stores, redis, doubts=doubts) as followers:
        begun = [follower.progressed_at for follower in followers]
        await eventually(lambda: doubts.count > 1)
        assert [follower.progressed_at for follower in followers] == begun


async def test_rows_that_keep_failing_are_no_progress_but_others_are(
    catalogue: CatalogueFactory, stores: Backends, index: str, redis: Redis
) -> None:
    await catalogue.occurrence()
    await execute(stores.postgres, "UPDATE smarttrip.outbox SET kind = 'galaxy'")
    async with following(stores, redis) as (*_, causes):
        begun = causes.progressed_at

        async def tried_twice() -> bool:
            async with stores.postgres.connect() as connection:
                found = await connection.exec_driver_sql("SELECT max(attempts) FROM smarttrip.outbox")
                return int(found.scalar() or 0) >= 2

        await eventually(tried_twice)
        assert causes.progressed_at == begun
        await execute(stores.postgres, "UPDATE trip_templates SET title = title || '!'")
        await eventually(lambda: causes.progressed_at > begun)


@pytest.mark.usefixtures("index")
async def test_a_single_change_is_not_stuck_behind_a_large_import_or_a_fan_out(
    catalogue: CatalogueFactory, stores: Backends
) -> None:
    limits = BatchLimits(newest=2, oldest=2, fan_out=2)
    template = await catalogue.template()
    for _ in range(30):
        await catalogue.occurrence(trip_template_id=template)
    await process_batch(stores, limits=limits, retry=True)
    late = await catalogue.occurrence()
    batch = await process_batch(stores, limits=limits, retry=True)
    assert late in {row.row_id for row in batch.done}
    assert await waiting(stores.postgres) > 20
