"""When a process takes on no more."""

from time import monotonic
from typing import cast

import pytest
from uvicorn.server import ServerState

from app.server.admission import (
    BURST,
    LATE_SECONDS,
    LONG_SECONDS,
    MAX_QUEUE_SECONDS,
    MIN_CONCURRENCY,
    AdmissionController,
    running_admission,
)
from tests.support.eventually import eventually

IN_TIME, LATE = 0.0, 2 * LATE_SECONDS


class Clock:
    """Ticks that are as late as one says."""

    def __init__(self, load: AdmissionController) -> None:
        self.load = load
        self._now = monotonic()

    def tick(self, late: float, *, finished: int = 0, after: float = MAX_QUEUE_SECONDS) -> None:
        self._now += after
        self.load.server.total_requests += finished
        self.load.tick(self._now - late, self._now)


@pytest.fixture
def clock() -> Clock:
    return Clock(AdmissionController(most=512))


def room(load: AdmissionController) -> int:
    """How many more come in one after the other."""
    busy: ServerState = load.server
    before = len(busy.tasks)
    while load.can_admit():
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
    assert not clock.load.can_admit()


def test_refusing_is_not_finishing(clock: Clock) -> None:
    clock.load.refused = 1000
    clock.tick(LATE, finished=1000 + 40)
    assert room(clock.load) == 40


def test_what_waits_for_something_else_takes_no_room(clock: Clock) -> None:
    clock.tick(IN_TIME)
    assert room(clock.load) == BURST
    for _ in range(2):
        clock.tick(LATE, after=LONG_SECONDS)
    assert room(clock.load) == MIN_CONCURRENCY


def test_what_has_just_begun_takes_room(clock: Clock) -> None:
    clock.tick(IN_TIME, after=LONG_SECONDS)
    assert room(clock.load) == BURST
    clock.tick(LATE)
    assert room(clock.load) == 0


def test_a_slow_process_still_takes_a_few(clock: Clock) -> None:
    clock.tick(LATE, finished=1)
    assert room(clock.load) == MIN_CONCURRENCY


def test_being_late_is_over_soon(clock: Clock) -> None:
    clock.tick(LATE, finished=40)
    clock.tick(IN_TIME, after=MAX_QUEUE_SECONDS / 5)
    assert room(clock.load) == 40
    clock.tick(IN_TIME)
    assert room(clock.load) == BURST


async def test_a_crowd_is_looked_at_before_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.admission.IDLE_TICK_SECONDS", 60.0)
    async with running_admission(512) as load:
        assert room(load) == BURST
        await eventually(load.can_admit)
