"""Logs are sent in batches, and every lost log is counted."""

import asyncio

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.tracking import request_log_buffer
from app.tracking.producer import LOST
from app.tracking.request_log_buffer import RequestLogBuffer, running_request_log_buffer
from core.configuration.settings import Settings
from schemas.tables import RecommendationRequest
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.rows import rows
from tests.support.tracking.visits import drain, open_producer, request_log
from tracking import stream


async def test_logs_are_flushed_after_a_while(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with (
        open_producer(settings.redis_url, settings.database_url) as producer,
        running_request_log_buffer(producer) as logs,
    ):
        for count in (3, 6):
            for _ in range(3):
                logs.add(request_log())

            async def arrived(count: int = count) -> bool:
                return await stream.length(redis) == count

            await eventually(arrived)


async def test_full_batch_is_sent_at_once(
    settings: Settings, database: AsyncEngine, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a burst would fill the buffer, and logs would be dropped."""
    monkeypatch.setattr(request_log_buffer, "FLUSH_SECONDS", 3600)
    async with (
        open_producer(settings.redis_url, settings.database_url) as producer,
        running_request_log_buffer(producer) as logs,
    ):
        for _ in range(request_log_buffer.BATCH_SIZE):
            logs.add(request_log())

        async def arrived() -> bool:
            return await stream.length(redis) == request_log_buffer.BATCH_SIZE

        await eventually(arrived)


async def test_bug_loses_only_the_current_batch(
    settings: Settings, database: AsyncEngine, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = LOST._value.get()
    async with (
        open_producer(settings.redis_url, settings.database_url) as producer,
        running_request_log_buffer(producer) as logs,
    ):
        with monkeypatch.context() as broken:
            broken.setattr(producer, "_append", None)
            logs.add(request_log())
            await eventually(lambda: LOST._value.get() == before + 1)
        logs.add(request_log())

        async def arrived() -> bool:
            return await stream.length(redis) == 1

        await eventually(arrived)


async def test_remaining_logs_are_sent_at_shutdown(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with (
        open_producer(settings.redis_url, settings.database_url) as producer,
        running_request_log_buffer(producer) as logs,
    ):
        for _ in range(450):
            logs.add(request_log())
        # The background task is cancelled while it collects a batch.
        await asyncio.sleep(0)
    # With a slow Redis, some logs are stored directly.
    await drain(redis, database)
    assert len(await rows(database, RecommendationRequest)) == 450


async def test_batch_cut_short_by_shutdown_is_stored_once(
    settings: Settings, database: AsyncEngine, redis: Redis
) -> None:
    async with (
        FaultProxy(settings.redis_url, delay=0.1) as slow,
        open_producer(slow.url, settings.database_url) as producer,
    ):
        await producer.publish_request_logs([request_log()])
        (connection,) = slow.connections
        sent = len(connection.sent)
        async with running_request_log_buffer(producer) as logs:
            await slow.switch(Mode.SLOW)
            logs.add(request_log())
            await eventually(lambda: b"EVALSHA" in connection.sent[sent:])
        await slow.switch(Mode.PASS)
    await drain(redis, database)
    assert len(await rows(database, RecommendationRequest)) == 2


async def test_dropped_log_is_counted(settings: Settings, database: AsyncEngine) -> None:
    async with open_producer(settings.redis_url, settings.database_url) as producer:
        logs = RequestLogBuffer(producer)
        before = LOST._value.get()
        for _ in range(request_log_buffer.MAX_BUFFERED + 3):
            logs.add(request_log())
        assert LOST._value.get() == before + 3
