"""When a process takes on no more."""

from time import monotonic
from typing import cast

import pytest
from uvicorn.server import ServerState

from app.server.admission import BURST, FEW, LATE_SECONDS, LONG_SECONDS, SOON_SECONDS, Load, watched_load
from tests.support.eventually import eventually

IN_TIME, LATE = 0.0, 2 * LATE_SECONDS


class Clock:
    """Ticks that are as late as one says."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self._now = monotonic()

    def tick(self, late: float, *, finished: int = 0, after: float = SOON_SECONDS) -> None:
        self._now += after
        self.load.server.total_requests += finished
        self.load.tick(self._now - late, self._now)


@pytest.fixture
def clock() -> Clock:
    return Clock(Load(most=512))


def room(load: Load) -> int:
    """How many more come in one after the other."""
    busy: ServerState = load.server
    before = len(busy.tasks)
    while load.has_room():
        cast(set[object], busy.tasks).add(object())
    return len(busy.tasks) - before


def test_while_the_loop_is_in_time_there_is_room_for_a_burst_more_each_tick(clock: Clock) -> None:
    """So that waiting for a slow dependency is no reason to refuse."""
    for _ in range(5):
        clock.tick(IN_TIME)
        assert room(clock.load) == BURST


def test_as_many_come_at_once_as_it_finishes_soon(clock: Clock) -> None:
    clock.tick(IN_TIME, finished=100)
    assert room(clock.load) == 100


def test_there_is_an_end(clock: Clock) -> None:
    for _ in range(100):
        clock.tick(IN_TIME)
        room(clock.load)
    assert len(clock.load.server.tasks) == 512


def test_once_it_is_late_it_takes_on_what_it_finishes_soon(clock: Clock) -> None:
    clock.tick(LATE, finished=40)
    assert room(clock.load) == 40


def test_a_moment_without_the_cpu_is_not_slowness(clock: Clock) -> None:
    clock.tick(LATE, finished=40)
    clock.tick(LATE)
    assert room(clock.load) == 40
    clock.tick(LATE)
    assert not clock.load.has_room()


def test_refusing_is_not_finishing(clock: Clock) -> None:
    clock.load.refused = 1000
    clock.tick(LATE, finished=1000 + 40)
    assert room(clock.load) == 40


def test_what_waits_for_something_else_takes_no_room(clock: Clock) -> None:
    clock.tick(IN_TIME)
    assert room(clock.load) == BURST
    for _ in range(2):
        clock.tick(LATE, after=LONG_SECONDS)
    assert room(clock.load) == FEW


def test_what_has_just_begun_takes_room(clock: Clock) -> None:
    clock.tick(IN_TIME, after=LONG_SECONDS)
    assert room(clock.load) == BURST
    clock.tick(LATE)
    assert room(clock.load) == 0


def test_a_slow_process_still_takes_a_few(clock: Clock) -> None:
    clock.tick(LATE, finished=1)
    assert room(clock.load) == FEW


def test_being_late_is_over_soon(clock: Clock) -> None:
    clock.tick(LATE, finished=40)
    clock.tick(IN_TIME, after=SOON_SECONDS / 5)
    assert room(clock.load) == 40
    clock.tick(IN_TIME)
    assert room(clock.load) == BURST


async def test_a_crowd_is_looked_at_before_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.admission.CALM_SECONDS", 60.0)
    async with watched_load(512) as load:
        assert room(load) == BURST
        await eventually(load.has_room)
