import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.cache import subscriber
from core import clients
from core.clients import redis_database
from indexer.invalidation_publisher import publish
from schemas.invalidation_message import ALL_KINDS, channel, decode_message
from schemas.redis_keys import GENERATION_COUNTER, RECENT_CHANGES
from scripts.drill.redis_servers import redis_server
from tests.support.cache import SimulatedProcess, simulated_process
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode


@pytest.fixture
async def process(proxy: FaultProxy, redis: Redis) -> AsyncIterator[SimulatedProcess]:
    """Yield a process whose connection to Redis can be cut."""
    async with clients.redis(proxy.url) as client, simulated_process(client) as process:
        yield process


async def test_change_invalidates_its_kinds_only(redis: Redis, process: SimulatedProcess) -> None:
    before = process.invalidation.current
    await publish(redis, ["country", "tag"])
    await eventually(lambda: process.invalidation.current == before + 1)
    touched = {kind for kind in ALL_KINDS if not process.invalidation.is_current(before, {kind})}
    assert touched == {"country", "tag"}


async def test_unpublished_change_is_noticed(redis: Redis, process: SimulatedProcess) -> None:
    before = process.invalidation.current
    await redis.incr(GENERATION_COUNTER)
    await eventually(lambda: not process.invalidation.is_current(before, {"country"}))


async def test_emptied_redis_invalidates_everything(redis: Redis, process: SimulatedProcess) -> None:
    before = process.invalidation.current
    await redis.flushdb()
    await eventually(lambda: not process.invalidation.is_current(before, {"country"}))


@pytest.mark.parametrize("setting", ["maxmemory", "min-replicas-to-write"])
async def test_redis_that_refuses_writes_is_not_trusted(tmp_path: Path, setting: str) -> None:
    """Nobody can publish a change there."""
    async with (
        redis_server(tmp_path) as server,
        clients.redis(server.url) as client,
        simulated_process(client) as process,
    ):
        await eventually(lambda: process.invalidation.connected)
        await client.config_set(setting, "1")
        await eventually(lambda: not process.invalidation.connected)
        await client.config_set(setting, "0")
        await eventually(lambda: process.invalidation.connected)


@pytest.mark.parametrize("message", [b"", b"{}", b"\xff", b'{"generation": "x", "kinds": []}', b"[]"])
async def test_unreadable_message_is_skipped(redis: Redis, process: SimulatedProcess, message: bytes) -> None:
    await redis.publish(channel(redis_database(redis)), message)
    before = process.invalidation.current
    await publish(redis, ["country"])
    await eventually(lambda: not process.invalidation.is_current(before, {"country"}))
    assert process.invalidation.connected


async def test_change_during_an_outage_is_noticed_afterwards(
    redis: Redis, process: SimulatedProcess, proxy: FaultProxy
) -> None:
    before = process.invalidation.current
    await proxy.switch(Mode.CUT)
    await eventually(lambda: not process.invalidation.connected)
    await publish(redis, ["country"])
    await proxy.switch(Mode.PASS)
    await eventually(lambda: process.invalidation.connected)
    assert not process.invalidation.is_current(before, {"country"})


async def test_outage_without_changes_invalidates_nothing(process: SimulatedProcess, proxy: FaultProxy) -> None:
    before = process.invalidation.current
    await proxy.switch(Mode.CUT)
    await eventually(lambda: not process.invalidation.connected)
    await proxy.switch(Mode.PASS)
    await eventually(lambda: process.invalidation.connected)
    assert process.invalidation.is_current(before, ALL_KINDS)


async def test_broken_subscription_is_renewed(redis: Redis, process: SimulatedProcess) -> None:
    database = redis.connection_pool.connection_kwargs["db"]
    for client in await redis.client_list(_type="pubsub"):
        if int(client["db"]) == database:
            await redis.client_kill_filter(_id=client["id"])
    before = process.invalidation.current
    await publish(redis, ["country"])
    await eventually(lambda: not process.invalidation.is_current(before, {"country"}))
    await publish(redis, ["tag"])
    await eventually(lambda: not process.invalidation.is_current(before + 1, {"tag"}))


@asynccontextmanager
async def missing_changes(redis: Redis, process: SimulatedProcess, proxy: FaultProxy) -> AsyncIterator[int]:
    """Publish three changes of countries that the process misses; it is cut off until the end of the block.

    Yield the generation before them.
    """
    before = process.invalidation.current
    await proxy.switch(Mode.CUT)
    await eventually(lambda: not process.invalidation.connected)
    for _ in range(3):
        await publish(redis, ["country"])
    yield before
    await proxy.switch(Mode.PASS)
    await eventually(lambda: process.invalidation.current == before + 3)


async def test_missed_messages_are_applied_after_an_outage(
    redis: Redis, process: SimulatedProcess, proxy: FaultProxy
) -> None:
    async with missing_changes(redis, process, proxy) as before:
        pass
    assert process.invalidation.is_current(before, ALL_KINDS - {"country"})
    assert not process.invalidation.is_current(before, {"country"})


@pytest.mark.parametrize("lost", ["of all", "of one", "unreadable"])
async def test_missing_message_outdates_everything(
    redis: Redis, process: SimulatedProcess, proxy: FaultProxy, lost: str
) -> None:
    async with missing_changes(redis, process, proxy) as before:
        if lost == "of all":
            await redis.delete(RECENT_CHANGES)
        else:
            await redis.lset(RECENT_CHANGES, -2, '{"generation": 1, "kinds": []}' if lost == "of one" else "{")  # type: ignore[misc]
    assert not process.invalidation.is_current(before + 1, {"tag"})


async def test_started_process_knows_the_latest_changes(redis: Redis) -> None:
    first, _, third = [await publish(redis, [kind]) for kind in ("country", "tag", "guide")]
    assert first
    assert third
    async with simulated_process(redis) as started:
        assert started.invalidation.current == third
        assert started.invalidation.is_current(first, {"country"})
        assert not started.invalidation.is_current(first, {"tag"})


async def test_messages_of_concurrent_workers_arrive_in_the_order_of_their_numbers(
    redis: Redis, process: SimulatedProcess
) -> None:
    before = process.invalidation.current
    published = await asyncio.gather(*(publish(redis, ["country"]) for _ in range(20)))
    assert sorted(filter(None, published)) == [*range(before + 1, before + 21)]
    await eventually(lambda: process.invalidation.current == before + 20)
    # A message out of order outdates everything.
    assert process.invalidation.is_current(before, ALL_KINDS - {"country"})
    retained = await redis.lrange(RECENT_CHANGES, 0, -1)  # type: ignore[misc]
    assert [decode_message(each).generation for each in retained][-20:] == [*range(before + 1, before + 21)]


async def test_many_missed_messages_outdate_everything_unread(
    redis: Redis, process: SimulatedProcess, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "MAX_MISSED", 2)
    async with missing_changes(redis, process, proxy) as before:
        pass
    assert not process.invalidation.is_current(before, {"tag"})
