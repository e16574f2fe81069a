import asyncio
from itertools import count

import pytest

from core.concurrency.shared_result import SharedResult


def numbered(seconds: float) -> SharedResult[int]:
    """Return a shared result that counts its computations."""
    numbers = count(1)

    async def compute() -> int:
        await asyncio.sleep(0)
        return next(numbers)

    return SharedResult(compute, seconds=seconds)


async def test_concurrent_callers_share_one_computation() -> None:
    shared = numbered(0)
    assert await asyncio.gather(*(shared.get() for _ in range(50))) == [1] * 50


async def test_result_is_shared_while_it_is_valid() -> None:
    shared = numbered(60)
    assert [await shared.get() for _ in range(3)] == [1, 1, 1]


async def test_invalid_result_is_computed_again() -> None:
    shared = numbered(0)
    assert [await shared.get() for _ in range(3)] == [1, 2, 3]


async def test_error_is_shared() -> None:
    async def fail() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    shared = SharedResult(fail, seconds=0)
    results = await asyncio.gather(*(shared.get() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 3


async def test_cancelled_caller_cancels_no_other() -> None:
    shared = numbered(0)
    first, second = asyncio.create_task(shared.get()), asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_close_ends_the_computation() -> None:
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    shared = SharedResult(hang, seconds=0)
    caller = asyncio.create_task(shared.get())
    await started.wait()
    await shared.aclose()
    with pytest.raises(asyncio.CancelledError):
        await caller
