"""When calls to a server that does not respond are ended. The servers here are coroutines."""

import asyncio
import time

import pytest

from core.concurrency.stall_detector import TICK_SECONDS, ServerStalledError, StallDetector

LATE_SECONDS = 0.5
"""Seconds for which the event loop stands still: more than a probe has."""


class Stalls(list[int]):
    """The numbers of calls that were ended, of each stall."""


def detector(stalls: Stalls, *, response_after: float) -> StallDetector:
    async def probe() -> None:
        await asyncio.sleep(response_after)

    return StallDetector(probe, stalls.append, patience=TICK_SECONDS, probe_seconds=4 * TICK_SECONDS)


async def test_calls_to_a_server_that_does_not_respond_are_ended() -> None:
    stalls = Stalls()
    stalled = detector(stalls, response_after=600)

    async def call() -> None:
        async with stalled.watch():
            await asyncio.sleep(600)

    results = await asyncio.gather(*(call() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ServerStalledError] * 3
    assert stalls == [3]


async def test_event_loop_that_is_always_late_finds_no_stall() -> None:
    stalls = Stalls()
    responding = detector(stalls, response_after=20 * TICK_SECONDS)
    async with responding.watch():
        for _ in range(16):
            time.sleep(3 * TICK_SECONDS)  # so that it is late
            await asyncio.sleep(0)
    await responding.close()
    assert not stalls


@pytest.mark.parametrize("late_after", [0, TICK_SECONDS, 2 * TICK_SECONDS, 3 * TICK_SECONDS])
async def test_time_in_which_the_event_loop_is_late_does_not_count(late_after: float) -> None:
    stalls = Stalls()
    responding = detector(stalls, response_after=2 * TICK_SECONDS)
    asyncio.get_running_loop().call_later(late_after, time.sleep, LATE_SECONDS)
    async with responding.watch():
        await asyncio.sleep(late_after + LATE_SECONDS + 10 * TICK_SECONDS)
    await responding.close()
    assert not stalls


async def test_failing_probe_ends_calls_at_once() -> None:
    stalls = Stalls()

    async def refuse() -> None:
        raise ConnectionRefusedError

    refusing = StallDetector(refuse, stalls.append, patience=TICK_SECONDS, probe_seconds=600)
    with pytest.raises(ServerStalledError):
        async with refusing.watch():
            await asyncio.sleep(600)


async def test_caller_may_have_less_patience() -> None:
    stalls = Stalls()

    async def never() -> None:
        await asyncio.sleep(600)

    stalled = StallDetector(never, stalls.append, patience=600, probe_seconds=TICK_SECONDS)
    with pytest.raises(ServerStalledError):
        async with stalled.watch(patience=0):
            await asyncio.sleep(600)
