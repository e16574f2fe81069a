"""Logs are collected for a moment, and none of them is lost without a trace."""

import asyncio

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.tracking import request_log_buffer
from app.tracking.producer import LOST
from app.tracking.request_log_buffer import RequestLogBuffer, running_request_log_buffer
from core.settings import Settings
from schemas.tables import RecommendationRequest
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.rows import rows
from tests.support.tracking.visits import drain, intake_of, request_log
from tracking import stream


async def test_logs_are_flushed_after_a_while(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with (
        intake_of(settings.redis_url, settings.database_url) as intake,
        running_request_log_buffer(intake) as logs,
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
    """Else a fast process has to drop what comes in one moment."""
    monkeypatch.setattr(request_log_buffer, "FLUSH_SECONDS", 3600)
    async with (
        intake_of(settings.redis_url, settings.database_url) as intake,
        running_request_log_buffer(intake) as logs,
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
        intake_of(settings.redis_url, settings.database_url) as intake,
        running_request_log_buffer(intake) as logs,
    ):
        with monkeypatch.context() as broken:
            broken.setattr(intake, "_keep", None)
            logs.add(request_log())
            await eventually(lambda: LOST._value.get() == before + 1)
        logs.add(request_log())

        async def arrived() -> bool:
            return await stream.length(redis) == 1

        await eventually(arrived)


async def test_remaining_logs_are_sent_at_shutdown(settings: Settings, database: AsyncEngine, redis: Redis) -> None:
    async with (
        intake_of(settings.redis_url, settings.database_url) as intake,
        running_request_log_buffer(intake) as logs,
    ):
        for _ in range(450):
            logs.add(request_log())
        # The follower has begun to collect, and is stopped in the middle of it.
        await asyncio.sleep(0)
    # A Redis that takes long has its share stored past it.
    await drain(redis, database)
    assert len(await rows(database, RecommendationRequest)) == 450


async def test_batch_cut_short_by_shutdown_is_stored_once(
    settings: Settings, database: AsyncEngine, redis: Redis
) -> None:
    async with FaultProxy(settings.redis_url, delay=0.1) as slow, intake_of(slow.url, settings.database_url) as intake:
        await intake.log_recommendations([request_log()])
        (connection,) = slow.connections
        sent = len(connection.sent)
        async with running_request_log_buffer(intake) as logs:
            await slow.switch(Mode.SLOW)
            logs.add(request_log())
            await eventually(lambda: b"EVALSHA" in connection.sent[sent:])
        await slow.switch(Mode.PASS)
    await drain(redis, database)
    assert len(await rows(database, RecommendationRequest)) == 2


async def test_dropped_log_is_counted(settings: Settings, database: AsyncEngine) -> None:
    async with intake_of(settings.redis_url, settings.database_url) as intake:
        logs = RequestLogBuffer(intake)
        before = LOST._value.get()
        for _ in range(request_log_buffer.MAX_WAITING + 3):
            logs.add(request_log())
        assert LOST._value.get() == before + 3
