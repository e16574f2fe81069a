import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextvars import ContextVar

import pytest
import uvloop
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from core.postgres.platform_columns import PlatformColumns
from tests.support.eventually import eventually

NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_overdue_comparison_that_several_callers_ask_for_begins_once(
    loop_factory: Callable[[], AbstractEventLoop],
) -> None:
    async def ask() -> None:
        columns = PlatformColumns(create_async_engine(NOWHERE))
        for _ in range(3):
            columns.check_soon(after=0)
        await eventually(lambda: logs != [])
        await columns.close()

    with capture_logs() as logs, asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(ask())
    assert [line["event"] for line in logs] == ["columns_not_checked"]


async def test_comparison_is_not_part_of_the_request_that_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    in_request = ContextVar("in_request", default=False)
    seen: list[bool] = []

    async def check() -> bool:
        seen.append(in_request.get())
        return False

    columns = PlatformColumns(create_async_engine(NOWHERE))
    monkeypatch.setattr(columns, "check", check)
    in_request.set(True)
    columns.check_soon(after=0)
    await eventually(lambda: seen != [])
    await columns.close()
    assert seen == [False]
