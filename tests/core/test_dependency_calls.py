"""Calls to every server are measured by operation, and as stages of the request that makes them."""

import asyncio

import pytest
from elasticsearch import AsyncElasticsearch
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core import clients
from core.configuration.settings import Settings
from core.dependency_calls import SECONDS
from core.postgres import pool
from core.postgres.pool import WAIT, meter_pool, report_pools
from core.request_record import RequestRecord, record_var


def calls(dependency: str, operation: str) -> float:
    return sum(float(bucket.get()) for bucket in SECONDS.labels(dependency, operation)._buckets)


async def test_statements_are_measured_also_those_that_fail(settings: Settings) -> None:
    record = RequestRecord()
    record_var.set(record)
    before, other = calls("postgres", "select"), calls("postgres", "other")
    engine = clients.postgres(settings.database_url)
    async with engine.connect() as connection:
        await connection.execute(text("  SELECT pg_sleep(0.02)"))
        with pytest.raises(DBAPIError):
            await connection.execute(text("select 1 / 0"))
        await connection.rollback()
        await connection.execute(text("SET LOCAL lock_timeout = '1s'"))
    await engine.dispose()
    assert calls("postgres", "select") == before + 2
    assert calls("postgres", "other") == other + 1
    assert record.stages["postgres"] >= 0.02


async def test_commands_are_measured_but_not_the_wait_for_an_entry(redis: Redis) -> None:
    record = RequestRecord()
    record_var.set(record)
    before = {operation: calls("redis", operation) for operation in ("get", "pipeline", "other")}
    await redis.get("x")
    await redis.time()
    await redis.xread({"nothing": "0"}, block=10)
    async with redis.pipeline() as pipeline:
        pipeline.get("x")
        await pipeline.execute()
    assert {operation: calls("redis", operation) - count for operation, count in before.items()} == dict.fromkeys(
        before, 1
    )
    assert record.stages.keys() == {"redis"}


async def test_requests_to_elasticsearch_are_measured_by_api(es: AsyncElasticsearch) -> None:
    record = RequestRecord()
    record_var.set(record)
    before, other = calls("elasticsearch", "_search"), calls("elasticsearch", "other")
    await es.search(index="nothing*", size=0)
    await es.cluster.health()
    assert calls("elasticsearch", "_search") == before + 1
    assert calls("elasticsearch", "other") == other + 1
    assert record.stages.keys() == {"elasticsearch"}


async def test_pool_tells_use_waiting_callers_and_their_wait(settings: Settings) -> None:
    engine = clients.postgres(settings.database_url, pool_size=1, pool_timeout=0.3)
    meter_pool(engine, "primary")
    waited = WAIT.labels("primary")._sum.get()
    async with engine.connect():
        second = asyncio.create_task(engine.connect().start())
        await asyncio.sleep(0.1)
        report_pools()
        gauges = [metric.labels("primary")._value.get() for metric in (pool.SIZE, pool.IN_USE, pool.WAITING)]
        with pytest.raises(PoolTimeoutError):
            await second
    await engine.dispose()
    assert gauges == [1, 1, 1]
    assert WAIT.labels("primary")._sum.get() - waited >= 0.3
