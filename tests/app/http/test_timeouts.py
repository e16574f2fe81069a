import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from app.http.timeouts import LOOK_SECONDS, Deadlines, watched_deadlines

SECONDS = 0.1


@pytest.fixture
async def deadlines() -> AsyncIterator[Deadlines]:
    async with watched_deadlines() as deadlines:
        yield deadlines


async def test_what_takes_too_long_ends_with_a_time_out(deadlines: Deadlines) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError), deadlines.within(SECONDS):
        await asyncio.sleep(60)
    assert SECONDS <= time.monotonic() - began < SECONDS + 4 * LOOK_SECONDS
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_what_is_done_in_time_is_left_alone_for_good(deadlines: Deadlines) -> None:
    with deadlines.within(SECONDS):
        await asyncio.sleep(0)
    await asyncio.sleep(SECONDS + 2 * LOOK_SECONDS)


async def test_an_error_of_its_own_stays_what_it_is(deadlines: Deadlines) -> None:
    with pytest.raises(KeyError), deadlines.within(SECONDS):
        raise KeyError


async def test_an_error_after_the_time_stays_what_it_is(deadlines: Deadlines) -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise KeyError

    with pytest.raises(KeyError), deadlines.within(SECONDS):
        await work()


async def test_a_task_that_somebody_else_cancels_is_cancelled(deadlines: Deadlines) -> None:
    async def work() -> None:
        with deadlines.within(60):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_is_cancelled_beside_running_out_of_time_is_cancelled(deadlines: Deadlines) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def work() -> None:
        with deadlines.within(SECONDS):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                tasks[0].cancel()
                raise

    tasks.append(asyncio.create_task(work()))
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


async def test_the_inner_of_two_ends_first(deadlines: Deadlines) -> None:
    with deadlines.within(60):
        with pytest.raises(TimeoutError), deadlines.within(SECONDS):
            await asyncio.sleep(60)
        await asyncio.sleep(0)
