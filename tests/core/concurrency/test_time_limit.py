"""What has failed for want of time is freed at once, not by a collection."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from core.concurrency.stall_detector import StallDetector
from core.concurrency.time_limit import time_limit
from tests.support.failed_task import Data, is_freed_with_its_task


async def never() -> None:
    await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def test_error_is_that_of_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with time_limit(0):
            await never()


async def test_error_of_a_task_keeps_nothing_that_waited_for_the_limit() -> None:
    async def fail(data: Data) -> None:
        try:
            async with time_limit(0):
                await never()
        except TimeoutError:
            raise LookupError from None

    assert await is_freed_with_its_task(fail, LookupError)


async def test_error_of_a_task_keeps_nothing_that_waited_for_a_server() -> None:
    detector = StallDetector(never, lambda _: None, patience=60, probe_seconds=60)

    async def fail(data: Data) -> None:
        try:
            async with detector.watch(0):
                await never()
        except OSError as error:
            raise LookupError from error

    assert await is_freed_with_its_task(fail, LookupError)
