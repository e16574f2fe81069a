import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from core import clients
from core.clients import redis_database
from core.settings import Settings
from core.tasks import cancel_and_wait
from indexer.backends import Backends
from indexer.feed.batch import BatchResult
from indexer.feed.notifier import ChangeNotifier
from indexer.index import bulk_writer, versions
from indexer.index.outbox import DIRECT, ClaimedRow
from schemas.invalidation import ALL_KINDS, channel
from schemas.redis_keys import GENERATION_COUNTER
from tests.indexer.index.test_bulk_writer import document
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


def changed(*kinds: str) -> BatchResult:
    """A batch that has done one row of each kind."""
    now = datetime.now(UTC)
    rows = [ClaimedRow(number, kind, number, DIRECT, 0, None, now) for number, kind in enumerate(kinds)]
    return BatchResult(claimed=rows, done=rows)


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    """So patient that nothing is sent twice."""
    async with clients.redis(settings.redis_url, timeout=5.0) as client:
        yield client


@pytest.fixture
async def subscription(redis: Redis) -> AsyncIterator[PubSub]:
    async with redis.pubsub() as subscription:
        await subscription.subscribe(channel(redis_database(redis)))
        assert await subscription.get_message(timeout=1) is not None
        yield subscription


@pytest.fixture
async def announcer(stores: Backends, index: str, redis: Redis, subscription: PubSub) -> ChangeNotifier:
    """Past its first word."""
    announcer = ChangeNotifier(stores, redis)
    assert await announcer.flush()
    assert (await told(subscription))["kinds"] == sorted(ALL_KINDS)
    return announcer


async def told(subscription: PubSub) -> Any:
    message = await subscription.get_message(timeout=1)
    assert message is not None
    return orjson.loads(message["data"])


async def test_started_worker_invalidates_everything(stores: Backends, redis: Redis, subscription: PubSub) -> None:
    """Its predecessor may have been killed after a write and before it published."""
    assert await ChangeNotifier(stores, redis).flush()
    assert (await told(subscription))["kinds"] == sorted(ALL_KINDS)


async def test_what_was_written_is_seen_by_searches_before_it_is_told(
    stores: Backends, index: str, announcer: ChangeNotifier, subscription: PubSub
) -> None:
    version = await versions.next_version(stores.postgres)
    await bulk_writer.write(stores.elasticsearch, [index], version, {1: document(1)})
    announcer.record(changed("occurrence"))
    assert await announcer.flush()
    assert (await told(subscription))["kinds"] == ["occurrence"]
    assert (await stores.elasticsearch.count(index=stores.alias))["count"] == 1


async def test_each_word_has_the_next_number(announcer: ChangeNotifier, subscription: PubSub, redis: Redis) -> None:
    numbers = []
    for _ in range(3):
        announcer.record(changed("tag"))
        await announcer.flush()
        numbers.append((await told(subscription))["generation"])
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert int(await redis.get(GENERATION_COUNTER)) == numbers[-1]


async def test_a_counter_that_was_lost_does_not_give_out_old_numbers_again(
    announcer: ChangeNotifier, subscription: PubSub, redis: Redis
) -> None:
    before = int(await redis.get(GENERATION_COUNTER))
    await redis.flushdb()
    announcer.record(changed("tag"))
    await announcer.flush()
    assert (await told(subscription))["generation"] > before


async def test_many_changes_are_told_in_one_word(announcer: ChangeNotifier, subscription: PubSub) -> None:
    for kind in ("tag", "occurrence", "tag", "company"):
        announcer.record(changed(kind))
    await announcer.flush()
    assert (await told(subscription))["kinds"] == ["company", "occurrence", "tag"]


async def test_a_change_of_everything_is_told_as_each_kind(announcer: ChangeNotifier, subscription: PubSub) -> None:
    announcer.record(changed("all"))
    await announcer.flush()
    assert (await told(subscription))["kinds"] == sorted(ALL_KINDS)


async def test_a_departure_that_elasticsearch_does_not_take_is_told_once_to_those_who_read_from_postgres(
    announcer: ChangeNotifier, subscription: PubSub, redis: Redis
) -> None:
    (row,) = changed("occurrence").claimed
    for attempts in range(3):
        tried = replace(row, attempts=attempts)
        announcer.record(BatchResult(claimed=[tried], failed=[tried]))
        await announcer.flush()
    word = await told(subscription)
    assert word["kinds"] == ["occurrence"]
    assert int(await redis.get(GENERATION_COUNTER)) == word["generation"]


async def test_an_elasticsearch_that_stands_still_keeps_no_cache_waiting(
    settings: Settings, stores: Backends, index: str, redis: Redis, subscription: PubSub
) -> None:
    async with FaultProxy(settings.elasticsearch_url) as proxy, clients.elasticsearch(proxy.url, timeout=60) as es:
        announcer = ChangeNotifier(Backends(stores.postgres, es, stores.alias), redis)
        await announcer.flush()
        await told(subscription)
        await proxy.switch(Mode.STALL)
        running = [asyncio.create_task(work) for work in (announcer.run_refresh(), announcer.run_publish())]
        announcer.record(changed("occurrence"))
        try:
            await eventually(lambda: any(connection.sent for connection in proxy.connections))
            announcer.record(changed("company"))
            assert (await told(subscription))["kinds"] == ["company"]
        finally:
            await cancel_and_wait(running)


async def test_what_redis_could_not_be_told_is_told_when_it_is_back(
    settings: Settings, stores: Backends, index: str, subscription: PubSub
) -> None:
    async with FaultProxy(settings.redis_url) as proxy, clients.redis(proxy.url) as redis:
        announcer = ChangeNotifier(stores, redis)
        assert await announcer.flush()
        await told(subscription)
        await proxy.switch(Mode.CUT)
        announcer.record(changed("guide"))
        assert not await announcer.flush()
        await proxy.switch(Mode.PASS)
        assert await announcer.flush()
    assert (await told(subscription))["kinds"] == ["guide"]


async def test_what_elasticsearch_did_not_show_is_shown_and_told_when_it_is_back(
    settings: Settings, stores: Backends, index: str, redis: Redis, subscription: PubSub
) -> None:
    async with (
        FaultProxy(settings.elasticsearch_url) as proxy,
        clients.elasticsearch(proxy.url, max_retries=0) as es,
    ):
        announcer = ChangeNotifier(Backends(stores.postgres, es, stores.alias), redis)
        await announcer.flush()
        await told(subscription)
        await proxy.switch(Mode.CUT)
        announcer.record(changed("occurrence"))
        assert not await announcer.flush()
        await proxy.switch(Mode.PASS)
        assert await announcer.flush()
    assert (await told(subscription))["kinds"] == ["occurrence"]


async def test_it_tells_by_itself_but_not_more_often_than_it_should(stores: Backends, index: str, redis: Redis) -> None:
    announcer = ChangeNotifier(stores, redis, debounce_seconds=0.2)
    await announcer.flush()
    first = int(await redis.get(GENERATION_COUNTER))
    running = asyncio.create_task(announcer.run_publish())
    try:
        loop = asyncio.get_running_loop()
        until = loop.time() + 1.0
        while loop.time() < until:
            announcer.record(changed("tag"))
            await asyncio.sleep(0.01)

        async def last_is_told() -> bool:
            return int(await redis.get(GENERATION_COUNTER)) > first

        await eventually(last_is_told)
        assert int(await redis.get(GENERATION_COUNTER)) - first <= 6
    finally:
        await cancel_and_wait([running])
