"""Connections that break, or whose server stalls, when the pool closes them or takes them back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.settings import Settings
from tests.support.fault_proxy import FaultProxy, Mode

BROKEN = (Mode.CUT, Mode.STALL, Mode.MUTE, Mode.RESET, Mode.HALF_CLOSE)


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(settings.database_url) as running:
        yield running


@pytest.fixture
async def own_engine(proxy: FaultProxy) -> AsyncIterator[AsyncEngine]:
    engine = clients.postgres(proxy.url, pool_size=1, command_timeout=0.2)
    yield engine
    await proxy.switch(Mode.PASS)
    await engine.dispose()


async def close_idle(engine: AsyncEngine, break_it: Callable[[], Awaitable[None]]) -> None:
    async with engine.connect():
        pass
    await break_it()
    await engine.dispose()


async def take_back(engine: AsyncEngine, break_it: Callable[[], Awaitable[None]]) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await break_it()


async def take_back_after_an_error(engine: AsyncEngine, break_it: Callable[[], Awaitable[None]]) -> None:
    async with engine.begin() as connection:
        await break_it()
        await connection.execute(text("SELECT 1"))


async def take_back_from_a_cancelled_task(engine: AsyncEngine, break_it: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(0.1), engine.connect() as connection:
        await break_it()
        await connection.execute(text("SELECT pg_sleep(5)"))


USES = (close_idle, take_back, take_back_after_an_error, take_back_from_a_cancelled_task)


@pytest.mark.parametrize("mode", BROKEN)
@pytest.mark.parametrize(
    "use",
    [close_idle, take_back, take_back_after_an_error, take_back_from_a_cancelled_task],
    ids=lambda use: use.__name__,
)
async def test_broken_connection_is_no_error_of_the_pool(
    own_engine: AsyncEngine,
    proxy: FaultProxy,
    caplog: pytest.LogCaptureFixture,
    mode: Mode,
    use: Callable[[AsyncEngine, Callable[[], Awaitable[None]]], Awaitable[None]],
) -> None:
    with suppress(DBAPIError, OSError, TimeoutError):
        await use(own_engine, lambda: proxy.switch(mode))
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
