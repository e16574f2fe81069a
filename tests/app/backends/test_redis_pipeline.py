"""Against a real Redis, through a proxy that breaks what it is told to."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Connection, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from app.backends.redis_pipeline import AutoPipeline
from core import clients
from core.settings import Settings
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode

SECONDS = 0.5


@asynccontextmanager
async def pipelined(url: str, seconds: float = SECONDS) -> AsyncIterator[AutoPipeline]:
    async with clients.redis(url) as redis:
        asking = AutoPipeline(redis.connection_pool.make_connection(), seconds)  # type: ignore[no-untyped-call]
        try:
            yield asking
        finally:
            await asking.close()


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(settings.redis_url) as proxy:
        yield proxy


@pytest.fixture
async def asking(proxy: FaultProxy, redis: Redis) -> AsyncIterator[AutoPipeline]:
    await redis.flushdb()
    async with pipelined(proxy.url) as asking:
        yield asking


async def test_each_gets_the_reply_to_its_own_command(asking: AutoPipeline) -> None:
    replies = await asyncio.gather(*(asking.ask("ECHO", f"{number}") for number in range(100)))
    assert replies == [b"%d" % number for number in range(100)]


async def test_commands_of_one_moment_are_sent_together(asking: AutoPipeline, sent: list[Collection[bytes]]) -> None:
    await asking.ask("PING")
    sent.clear()
    replies = await asyncio.gather(*(asking.ask("INCR", "asked") for _ in range(20)))
    assert replies == [*range(1, 21)]
    assert [len(commands) for commands in sent] == [20]


async def test_a_refused_command_takes_nothing_away_from_the_others(asking: AutoPipeline) -> None:
    await asking.ask("SET", "text", "x")
    replies = await asyncio.gather(
        asking.ask("GET", "text"), asking.ask("INCR", "text"), asking.ask("GET", "text"), return_exceptions=True
    )
    assert isinstance(replies[1], ResponseError)
    assert [replies[0], replies[2]] == [b"x", b"x"]


async def test_a_mistake_of_ours_rises_where_it_is_waited_for_and_holds_nobody_up(
    asking: AutoPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Connection, "read_response", None)
        failures = await asyncio.gather(asking.ask("PING"), asking.ask("PING"), return_exceptions=True)
    assert [type(failure) for failure in failures] == [TypeError, TypeError]
    assert await asking.ask("PING") == b"PONG"


async def test_who_gives_up_takes_nothing_away_from_the_others(asking: AutoPipeline) -> None:
    impatient, patient = (asyncio.create_task(asking.ask("ECHO", word)) for word in ("one", "two"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == b"two"
    assert await asking.ask("ECHO", "three") == b"three"


async def test_a_connection_that_was_closed_in_the_meantime_is_not_noticed(asking: AutoPipeline, redis: Redis) -> None:
    number = await asking.ask("CLIENT", "ID")
    assert await redis.client_kill_filter(_id=number) == 1
    assert await asking.ask("PING") == b"PONG"


async def test_a_silent_redis_is_waited_for_once_by_all(asking: AutoPipeline, proxy: FaultProxy) -> None:
    await asking.ask("PING")
    await proxy.switch(Mode.STALL)
    began = time.monotonic()
    first = asyncio.create_task(asking.ask("PING"))
    await asyncio.sleep(SECONDS / 2)
    failures = await asyncio.gather(first, asking.ask("PING"), return_exceptions=True)
    assert [type(failure) for failure in failures] == [TimeoutError, TimeoutError]
    assert time.monotonic() - began < 1.5 * SECONDS
    await proxy.switch(Mode.PASS)
    assert await asking.ask("PING") == b"PONG"


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.RESET])
async def test_a_redis_that_is_away_is_an_error_until_it_is_back(
    asking: AutoPipeline, proxy: FaultProxy, mode: Mode
) -> None:
    await asking.ask("PING")
    await proxy.switch(mode)
    with pytest.raises(RedisConnectionError):
        await asking.ask("PING")
    await proxy.switch(Mode.PASS)
    assert await asking.ask("PING") == b"PONG"


async def test_what_nobody_waits_for_ends_with_it(proxy: FaultProxy) -> None:
    async with pipelined(proxy.url, seconds=60) as asking:
        await asking.ask("PING")
        await proxy.switch(Mode.STALL)
        impatient = asyncio.create_task(asking.ask("PING"))
        await asyncio.sleep(0)
        impatient.cancel()
    (connection,) = proxy.connections
    await eventually(connection.client.is_closing)
