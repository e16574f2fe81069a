"""The limit follows what the server can do, and no place is lost or given twice."""

import asyncio

import pytest

from app.backends.concurrency_limit import DECREASE, LOWEST, START, ConcurrencyLimit
from core.concurrency.tasks import cancel_and_wait


class Calls:
    """Calls that are under way until they are told to end."""

    def __init__(self, limit: ConcurrencyLimit) -> None:
        self._limit = limit
        self._end = asyncio.Event()
        self.active = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self, number: int) -> None:
        self.tasks += [asyncio.create_task(self._call()) for _ in range(number)]
        await settle()

    async def end(self) -> None:
        self._end.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _call(self) -> None:
        async with self._limit.slot():
            self.active += 1
            await self._end.wait()
            self.active -= 1


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_calls_are_under_way_than_the_limit() -> None:
    calls = Calls(ConcurrencyLimit(64))
    await calls.begin(100)
    assert calls.active == START
    await calls.end()
    assert calls.active == 0


async def test_highest_limit_bounds_the_first() -> None:
    calls = Calls(ConcurrencyLimit(3))
    await calls.begin(10)
    assert calls.active == 3
    await calls.end()


async def test_limit_grows_by_one_in_as_many_calls_as_it_allows_up_to_the_highest() -> None:
    limit = ConcurrencyLimit(18)
    for _ in range(200):
        limit.increase()
    calls = Calls(limit)
    await calls.begin(100)
    assert calls.active == 18
    await calls.end()


async def test_late_calls_of_one_moment_decrease_the_limit_once() -> None:
    limit = ConcurrencyLimit(64)
    for _ in range(10):
        limit.decrease()
    calls = Calls(limit)
    await calls.begin(100)
    assert calls.active == int(START * DECREASE)
    await calls.end()


async def test_limit_does_not_end_below_the_lowest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.backends.concurrency_limit.DECREASE_SECONDS", 0)
    limit = ConcurrencyLimit(64)
    for _ in range(100):
        limit.decrease()
    calls = Calls(limit)
    await calls.begin(10)
    assert calls.active == LOWEST
    await calls.end()


async def test_cancelled_calls_lose_no_place() -> None:
    limit = ConcurrencyLimit(2)
    calls = Calls(limit)
    await calls.begin(6)
    # One that has a place, and two that wait.
    await cancel_and_wait([calls.tasks[0], calls.tasks[2], calls.tasks[3]])
    await settle()
    await calls.begin(2)
    await calls.end()
    again = Calls(limit)
    await again.begin(5)
    assert again.active == 2
    await again.end()


async def test_place_that_was_given_to_a_cancelled_call_goes_to_the_next() -> None:
    limit = ConcurrencyLimit(1)
    first, second = Calls(limit), Calls(limit)
    await first.begin(1)
    await second.begin(2)
    second.tasks[0].cancel()
    await first.end()
    await settle()
    assert second.active == 1
    await second.end()


async def test_limit_is_full_when_as_many_wait_as_may_run() -> None:
    limit = ConcurrencyLimit(2)
    calls = Calls(limit)
    await calls.begin(3)
    assert not limit.is_full
    await calls.begin(1)
    assert limit.is_full
    await calls.end()
    assert not limit.is_full
