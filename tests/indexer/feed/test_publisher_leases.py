"""Changes of a process that is stopped or killed while it publishes them are published by another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from sqlalchemy import func, select

from core import clients, generation
from core.concurrency.tasks import background_task, cancel_and_wait
from core.configuration.settings import Settings
from indexer import invalidation_publisher, publisher_leases
from indexer.backends import Backends
from indexer.feed import notifier as notifier_module
from indexer.feed.batch import process_batch
from indexer.feed.notifier import ChangeNotifier
from indexer.index import admin, outbox
from indexer.index.reconcile import has_leftovers, rebuild_connection, reconcile
from indexer.invalidation_publisher import publish
from indexer.rebuild import reindex as reindex_module
from indexer.rebuild import rollback as rollback_module
from indexer.rebuild.reindex import reindex
from indexer.rebuild.rollback import rollback
from schemas.invalidation_message import ALL_KINDS
from schemas.tables import Publisher
from tests.indexer.feed.test_interruptions import Killed, deadly
from tests.indexer.feed.test_notifier import changed, next_message, notifier, redis, subscription
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.sync import execute, ignore_progress

__all__ = ["notifier", "redis", "subscription"]


@dataclass
class Scene:
    """A worker that goes on, with nothing to publish, beside a process that is killed."""

    settings: Settings
    backends: Backends
    redis: Redis
    subscription: PubSub

    async def let_time_pass(self) -> None:
        """Make all rows as old as those of processes that are gone; those that run renew theirs."""
        age = "UPDATE smarttrip.publishers SET renewed_at = renewed_at - interval '7 seconds'"
        await execute(self.backends.postgres, age)

    async def expect_everything(self) -> None:
        """Assert that it is published that everything changed, and that no other process is registered."""
        assert (await next_message(self.subscription))["kinds"] == sorted(ALL_KINDS)
        await eventually(self._is_alone)

    async def _is_alone(self) -> bool:
        return await count_publishers(self.backends) == 1

    async def drop_messages(self) -> None:
        while await self.subscription.get_message(timeout=0.1) is not None:
            pass


@pytest.fixture
async def scene(
    settings: Settings, backends: Backends, redis: Redis, subscription: PubSub, notifier: ChangeNotifier
) -> AsyncIterator[Scene]:
    await notifier.register()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publisher_leases, "RENEW_SECONDS", 0.05)
        async with background_task(notifier.run_take_over()), background_task(notifier.run_publish()):
            yield Scene(settings, backends, redis, subscription)


async def count_publishers(backends: Backends) -> int:
    async with backends.postgres.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(Publisher)) or 0


async def work(backends: Backends, redis: Redis) -> None:
    """Do what a worker does with a change."""
    worker = ChangeNotifier(backends, redis)
    await worker.register()
    worker.record(await process_batch(backends, retry=True, publisher=worker.publisher))
    await worker.finish()


@pytest.mark.parametrize(
    ("moment", "owner", "step"),
    [
        ("before", outbox, "remove"),
        ("after", outbox, "remove"),
        ("before", ChangeNotifier, "flush"),
        ("before", ChangeNotifier, "_refresh"),
        ("before", notifier_module, "publish"),
        ("before", invalidation_publisher, "_publish"),
        ("after", invalidation_publisher, "_publish"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_killed_worker_is_published_for(
    scene: Scene, ids: dict[str, int], moment: str, owner: Any, step: str
) -> None:
    await execute(scene.backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, step, deadly(getattr(owner, step), moment))
        with pytest.raises(Killed):
            await work(scene.backends, scene.redis)
    await scene.drop_messages()
    await scene.let_time_pass()
    await scene.expect_everything()


async def test_worker_that_has_published_everything_leaves_no_trace(
    backends: Backends, index: str, redis: Redis, subscription: PubSub
) -> None:
    await work(backends, redis)
    assert await count_publishers(backends) == 0


@pytest.mark.parametrize("age", ["7 seconds", "-7 seconds"], ids=["gone", "of a clock that was ahead"])
async def test_one_of_several_workers_takes_over(backends: Backends, index: str, age: str) -> None:
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.publishers (id, renewed_at)"
        " VALUES (gen_random_uuid(), clock_timestamp() - CAST(CAST(:age AS text) AS interval))",
        age=age,
    )
    async with backends.postgres.begin() as first, backends.postgres.begin() as second:
        taken = [await publisher_leases.take_over(connection, uuid4()) for connection in (first, second)]
        assert taken == [[], None]


async def test_worker_takes_note_of_what_others_have_published(scene: Scene, notifier: ChangeNotifier) -> None:
    """Caches then need not assume that it has read the index before that."""
    published = await publish(scene.redis, ["tag"])
    await eventually(lambda: notifier.generation == published)


async def test_what_a_worker_publishes_while_it_reads_the_generation_counts(
    notifier: ChangeNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = generation.current_generation

    async def read_and_publish(*arguments: Any) -> int:
        found = await read(*arguments)
        notifier.queue_publish(["tag"])
        assert await notifier.flush()
        return found

    monkeypatch.setattr(notifier_module, "current_generation", read_and_publish)
    before = notifier.generation
    await notifier._read_generation()
    assert notifier.generation == before + 1


def bytes_sent(proxy: FaultProxy) -> int:
    return sum(len(connection.sent) for connection in proxy.connections)


@pytest.mark.parametrize("interrupted", ["refresh", "publication"])
async def test_stopped_worker_publishes_what_it_was_publishing(
    settings: Settings, backends: Backends, index: str, subscription: PubSub, interrupted: str
) -> None:
    """It is stopped while a server does not respond, which then does."""
    async with (
        FaultProxy(settings.elasticsearch_url) as es_proxy,
        FaultProxy(settings.redis_url) as redis_proxy,
        clients.elasticsearch(es_proxy.url, timeout=60) as es,
        clients.redis(redis_proxy.url, timeout=60) as redis,
    ):
        notifier = ChangeNotifier(Backends(backends.postgres, es, backends.alias), redis)
        assert await notifier.flush()
        await next_message(subscription)
        stalled = es_proxy if interrupted == "refresh" else redis_proxy
        await stalled.switch(Mode.STALL)
        before = bytes_sent(stalled)
        notifier.record(changed("occurrence"))
        running = [asyncio.create_task(run) for run in (notifier.run_refresh(), notifier.run_publish())]
        await eventually(lambda: bytes_sent(stalled) > before)
        await cancel_and_wait(running)
        await stalled.switch(Mode.PASS)
        assert await notifier.flush()
    assert (await next_message(subscription))["kinds"] == ["occurrence"]


@pytest.mark.parametrize("operation", [reindex_module, rollback_module], ids=["reindex", "rollback"])
@pytest.mark.parametrize(("moment", "step"), [("after", "swap_alias"), ("before", "publish_all_changed")])
async def test_killed_rebuild_is_published_for(scene: Scene, operation: Any, moment: str, step: str) -> None:
    settings, backends = scene.settings, scene.backends
    await reindex(settings, ignore_progress)
    await scene.drop_messages()
    owner = admin if step == "swap_alias" else operation
    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr(owner, step, deadly(getattr(owner, step), moment))
        await (reindex(settings, ignore_progress) if operation is reindex_module else rollback(settings))
    if await has_leftovers(backends):
        async with rebuild_connection(settings) as connection:
            await reconcile(connection, backends)
    await scene.expect_everything()
