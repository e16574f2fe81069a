"""The test of a pool's connection before its use: what it finds, and what it costs."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.settings import Settings
from tests.support.sync import execute

PID = text("SELECT pg_backend_pid()")


@pytest.fixture
async def own_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = clients.postgres(settings.database_url, pool_size=1)
    yield engine
    await engine.dispose()


async def server_pid(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return await connection.scalar(PID) or 0


async def test_connection_that_the_server_ended_costs_no_statement(
    own_engine: AsyncEngine, database: AsyncEngine
) -> None:
    first = await server_pid(own_engine)
    assert await server_pid(own_engine) == first
    await execute(database, "SELECT pg_terminate_backend(:pid)", pid=first)
    assert await server_pid(own_engine) not in (0, first)


async def test_test_before_use_is_one_query(own_engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await server_pid(own_engine)
    sent: list[str] = []

    async def record(connection: Any, query: str, *_arguments: Any, **_named: Any) -> None:
        sent.append(query)

    for method in ("execute", "_prepare", "_execute"):
        monkeypatch.setattr(asyncpg.Connection, method, record)
    async with own_engine.connect():
        pass
    assert sent == ["SELECT 1"]
