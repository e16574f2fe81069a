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
from core.configuration.settings import Settings
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode

SECONDS = 0.5


@asynccontextmanager
async def pipelined(url: str, seconds: float = SECONDS) -> AsyncIterator[AutoPipeline]:
    async with clients.redis(url) as redis:
        pipeline = AutoPipeline(redis.connection_pool.make_connection(), seconds)  # type: ignore[no-untyped-call]
        try:
            yield pipeline
        finally:
            await pipeline.close()


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(settings.redis_url) as proxy:
        yield proxy


@pytest.fixture
async def pipeline(proxy: FaultProxy, redis: Redis) -> AsyncIterator[AutoPipeline]:
    await redis.flushdb()
    async with pipelined(proxy.url) as pipeline:
        yield pipeline


async def test_each_command_gets_its_own_reply(pipeline: AutoPipeline) -> None:
    replies = await asyncio.gather(*(pipeline.execute("ECHO", f"{number}") for number in range(100)))
    assert replies == [b"%d" % number for number in range(100)]


async def test_concurrent_commands_are_sent_together(pipeline: AutoPipeline, sent: list[Collection[bytes]]) -> None:
    await pipeline.execute("PING")
    sent.clear()
    replies = await asyncio.gather(*(pipeline.execute("INCR", "asked") for _ in range(20)))
    assert replies == [*range(1, 21)]
    assert [len(commands) for commands in sent] == [20]


async def test_error_reply_concerns_one_command(pipeline: AutoPipeline) -> None:
    await pipeline.execute("SET", "text", "x")
    replies = await asyncio.gather(
        pipeline.execute("GET", "text"),
        pipeline.execute("INCR", "text"),
        pipeline.execute("GET", "text"),
        return_exceptions=True,
    )
    assert isinstance(replies[1], ResponseError)
    assert [replies[0], replies[2]] == [b"x", b"x"]


async def test_bug_is_raised_to_its_callers_only(pipeline: AutoPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Connection, "read_response", None)
        failures = await asyncio.gather(pipeline.execute("PING"), pipeline.execute("PING"), return_exceptions=True)
    assert [type(failure) for failure in failures] == [TypeError, TypeError]
    assert await pipeline.execute("PING") == b"PONG"


async def test_cancelled_caller_does_not_affect_others(pipeline: AutoPipeline) -> None:
    cancelled, other = (asyncio.create_task(pipeline.execute("ECHO", word)) for word in ("one", "two"))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await other == b"two"
    assert await pipeline.execute("ECHO", "three") == b"three"


async def test_idle_connection_closed_by_redis_is_replaced(pipeline: AutoPipeline, redis: Redis) -> None:
    number = await pipeline.execute("CLIENT", "ID")
    assert await redis.client_kill_filter(_id=number) == 1
    assert await pipeline.execute("PING") == b"PONG"


async def test_concurrent_commands_share_a_timeout(pipeline: AutoPipeline, proxy: FaultProxy) -> None:
    await pipeline.execute("PING")
    await proxy.switch(Mode.STALL)
    began = time.monotonic()
    first = asyncio.create_task(pipeline.execute("PING"))
    await asyncio.sleep(SECONDS / 2)
    failures = await asyncio.gather(first, pipeline.execute("PING"), return_exceptions=True)
    assert [type(failure) for failure in failures] == [TimeoutError, TimeoutError]
    assert time.monotonic() - began < 1.5 * SECONDS
    await proxy.switch(Mode.PASS)
    assert await pipeline.execute("PING") == b"PONG"


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.RESET])
async def test_commands_fail_while_redis_is_down(pipeline: AutoPipeline, proxy: FaultProxy, mode: Mode) -> None:
    await pipeline.execute("PING")
    await proxy.switch(mode)
    with pytest.raises(RedisConnectionError):
        await pipeline.execute("PING")
    await proxy.switch(Mode.PASS)
    assert await pipeline.execute("PING") == b"PONG"


async def test_close_cancels_the_round_trip(proxy: FaultProxy) -> None:
    async with pipelined(proxy.url, seconds=60) as pipeline:
        await pipeline.execute("PING")
        await proxy.switch(Mode.STALL)
        cancelled = asyncio.create_task(pipeline.execute("PING"))
        await asyncio.sleep(0)
        cancelled.cancel()
    (connection,) = proxy.connections
    await eventually(connection.client.is_closing)
