import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from core import clients
from core.clients import redis_database
from core.concurrency.tasks import cancel_and_wait
from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.feed.batch import BatchResult
from indexer.feed.notifier import ChangeNotifier
from indexer.index import bulk_writer, versions
from indexer.index.outbox import DIRECT, ClaimedRow
from schemas.invalidation_message import ALL_KINDS, channel
from schemas.redis_keys import GENERATION_COUNTER
from tests.indexer.index.test_bulk_writer import document
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


def changed(*kinds: str) -> BatchResult:
    """Return a batch in which one row of each kind is done."""
    now = datetime.now(UTC)
    rows = [ClaimedRow(number, kind, number, DIRECT, 0, None, now, monotonic()) for number, kind in enumerate(kinds)]
    return BatchResult(claimed=rows, done=rows)


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    """A client whose timeout is so long that nothing is sent twice."""
    async with clients.redis(settings.redis_url, timeout=5.0) as client:
        yield client


@pytest.fixture
async def subscription(redis: Redis) -> AsyncIterator[PubSub]:
    async with redis.pubsub() as subscription:
        await subscription.subscribe(channel(redis_database(redis)))
        assert await subscription.get_message(timeout=1) is not None
        yield subscription


@pytest.fixture
async def notifier(backends: Backends, index: str, redis: Redis, subscription: PubSub) -> ChangeNotifier:
    """A notifier that has published its first message."""
    notifier = ChangeNotifier(backends, redis)
    assert await notifier.flush()
    assert (await next_message(subscription))["kinds"] == sorted(ALL_KINDS)
    return notifier


async def next_message(subscription: PubSub) -> Any:
    message = await subscription.get_message(timeout=1)
    assert message is not None
    return orjson.loads(message["data"])


async def test_started_worker_invalidates_everything(backends: Backends, redis: Redis, subscription: PubSub) -> None:
    """Its predecessor may have been killed after a write and before it published."""
    assert await ChangeNotifier(backends, redis).flush()
    assert (await next_message(subscription))["kinds"] == sorted(ALL_KINDS)


async def test_index_is_refreshed_before_publishing(
    backends: Backends, index: str, notifier: ChangeNotifier, subscription: PubSub
) -> None:
    version = await versions.next_version(backends.postgres)
    await bulk_writer.write(backends.elasticsearch, [index], version, {1: document(1)})
    notifier.record(changed("occurrence"))
    assert await notifier.flush()
    assert (await next_message(subscription))["kinds"] == ["occurrence"]
    assert (await backends.elasticsearch.count(index=backends.alias))["count"] == 1


async def test_messages_are_numbered_consecutively(
    notifier: ChangeNotifier, subscription: PubSub, redis: Redis
) -> None:
    numbers = []
    for _ in range(3):
        notifier.record(changed("tag"))
        await notifier.flush()
        numbers.append((await next_message(subscription))["generation"])
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert int(await redis.get(GENERATION_COUNTER)) == numbers[-1]


async def test_lost_counter_never_reuses_numbers(notifier: ChangeNotifier, subscription: PubSub, redis: Redis) -> None:
    before = int(await redis.get(GENERATION_COUNTER))
    await redis.flushdb()
    notifier.record(changed("tag"))
    await notifier.flush()
    assert (await next_message(subscription))["generation"] > before


async def test_changes_are_published_in_one_message(notifier: ChangeNotifier, subscription: PubSub) -> None:
    for kind in ("tag", "occurrence", "tag", "company"):
        notifier.record(changed(kind))
    await notifier.flush()
    assert (await next_message(subscription))["kinds"] == ["company", "occurrence", "tag"]


async def test_truncate_is_published_as_every_kind(notifier: ChangeNotifier, subscription: PubSub) -> None:
    notifier.record(changed("all"))
    await notifier.flush()
    assert (await next_message(subscription))["kinds"] == sorted(ALL_KINDS)


async def test_failing_departure_is_published_once(
    notifier: ChangeNotifier, subscription: PubSub, redis: Redis
) -> None:
    (row,) = changed("occurrence").claimed
    for attempts in range(3):
        tried = replace(row, attempts=attempts)
        notifier.record(BatchResult(claimed=[tried], failed=[tried]))
        await notifier.flush()
    message = await next_message(subscription)
    assert message["kinds"] == ["occurrence"]
    assert int(await redis.get(GENERATION_COUNTER)) == message["generation"]


async def test_stalled_elasticsearch_delays_no_message(
    settings: Settings, backends: Backends, index: str, redis: Redis, subscription: PubSub
) -> None:
    async with FaultProxy(settings.elasticsearch_url) as proxy, clients.elasticsearch(proxy.url, timeout=60) as es:
        notifier = ChangeNotifier(Backends(backends.postgres, es, backends.alias), redis)
        await notifier.flush()
        await next_message(subscription)
        await proxy.switch(Mode.STALL)
        running = [asyncio.create_task(work) for work in (notifier.run_refresh(), notifier.run_publish())]
        notifier.record(changed("occurrence"))
        try:
            await eventually(lambda: any(connection.sent for connection in proxy.connections))
            notifier.record(changed("company"))
            assert (await next_message(subscription))["kinds"] == ["company"]
        finally:
            await cancel_and_wait(running)


async def test_unpublished_change_is_retried_after_redis_outage(
    settings: Settings, backends: Backends, index: str, subscription: PubSub
) -> None:
    async with FaultProxy(settings.redis_url) as proxy, clients.redis(proxy.url) as redis:
        notifier = ChangeNotifier(backends, redis)
        assert await notifier.flush()
        await next_message(subscription)
        await proxy.switch(Mode.CUT)
        notifier.record(changed("guide"))
        assert not await notifier.flush()
        await proxy.switch(Mode.PASS)
        assert await notifier.flush()
    assert (await next_message(subscription))["kinds"] == ["guide"]


async def test_refresh_that_failed_on_a_shard_is_retried(
    backends: Backends, notifier: ChangeNotifier, subscription: PubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*arguments: Any, **options: Any) -> Any:
        return {"_shards": {"total": 2, "successful": 1, "failed": 1}}

    notifier.record(changed("occurrence"))
    with monkeypatch.context() as patch:
        patch.setattr(backends.elasticsearch.indices, "refresh", fail)
        assert not await notifier.flush()
    assert await notifier.flush()
    assert (await next_message(subscription))["kinds"] == ["occurrence"]


async def test_failed_refresh_is_retried_and_published(
    settings: Settings, backends: Backends, index: str, redis: Redis, subscription: PubSub
) -> None:
    async with (
        FaultProxy(settings.elasticsearch_url) as proxy,
        clients.elasticsearch(proxy.url, max_retries=0) as es,
    ):
        notifier = ChangeNotifier(Backends(backends.postgres, es, backends.alias), redis)
        await notifier.flush()
        await next_message(subscription)
        await proxy.switch(Mode.CUT)
        notifier.record(changed("occurrence"))
        assert not await notifier.flush()
        await proxy.switch(Mode.PASS)
        assert await notifier.flush()
    assert (await next_message(subscription))["kinds"] == ["occurrence"]


async def test_publishing_is_debounced(backends: Backends, index: str, redis: Redis) -> None:
    notifier = ChangeNotifier(backends, redis, debounce_seconds=0.2)
    await notifier.flush()
    first = int(await redis.get(GENERATION_COUNTER))
    running = asyncio.create_task(notifier.run_publish())
    try:
        loop = asyncio.get_running_loop()
        until = loop.time() + 1.0
        while loop.time() < until:
            notifier.record(changed("tag"))
            await asyncio.sleep(0.01)

        async def is_published() -> bool:
            return int(await redis.get(GENERATION_COUNTER)) > first

        await eventually(is_published)
        assert int(await redis.get(GENERATION_COUNTER)) - first <= 6
    finally:
        await cancel_and_wait([running])
