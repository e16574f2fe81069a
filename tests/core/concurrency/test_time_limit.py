"""What has failed for want of time is freed at once, not by a collection."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from core.concurrency.stall_detector import StallDetector
from core.concurrency.time_limit import time_limit


class Data:
    """Takes the place of what a request has made."""


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

    assert await freed_with_its_task(fail)


async def test_error_of_a_task_keeps_nothing_that_waited_for_a_server() -> None:
    detector = StallDetector(never, lambda _: None, patience=60, probe_seconds=60)

    async def fail(data: Data) -> None:
        try:
            async with detector.watch(0):
                await never()
        except OSError as error:
            raise LookupError from error

    assert await freed_with_its_task(fail)


async def freed_with_its_task(fail: Callable[[Data], Coroutine[Any, Any, None]]) -> bool:
    """Return whether the argument of a task that fails is freed once nobody knows the task."""
    data = Data()
    kept = weakref.ref(data)
    task = asyncio.create_task(fail(data))
    del data
    await asyncio.wait([task])
    assert isinstance(task.exception(), LookupError)
    del task
    # The loop forgets the task.
    await asyncio.sleep(0)
    return kept() is None
