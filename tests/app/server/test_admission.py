from concurrent.futures import Future
from time import monotonic
from typing import cast

import pytest

from app.server.admission import AdmissionController, AdmissionTuning, running_admission
from tests.support.eventually import eventually

TUNING = AdmissionTuning()
ON_TIME, LATE = 0.0, 2 * TUNING.late_seconds
MANY = TUNING.min_concurrency + 20
"""Requests finished in a moment, more than the lowest limit."""


class Clock:
    """Ticks with a given lag."""

    def __init__(self, admission: AdmissionController) -> None:
        self.admission = admission
        self._now = monotonic()

    def tick(self, lag: float, *, finished: int = 0, after: float = TUNING.max_queue_seconds) -> None:
        self._now += after
        self.admission.server_state.total_requests += finished
        self.admission.update(self._now - lag, self._now)


@pytest.fixture
def clock() -> Clock:
    return Clock(AdmissionController(max_concurrency=512))


def fill(admission: AdmissionController) -> int:
    """Add requests until one is rejected, and return how many were admitted."""
    in_flight = cast(set[Future[None]], admission.server_state.tasks)
    before = len(in_flight)
    while admission.can_admit():
        in_flight.add(Future())
    return len(in_flight) - before


def test_loop_on_time_admits_burst_per_tick(clock: Clock) -> None:
    """Waiting for a slow dependency is no reason to reject."""
    for _ in range(5):
        clock.tick(ON_TIME)
        assert fill(clock.admission) == TUNING.burst


def test_fast_process_admits_its_throughput(clock: Clock) -> None:
    clock.tick(ON_TIME, finished=100)
    assert fill(clock.admission) == 100


def test_max_concurrency_is_never_exceeded(clock: Clock) -> None:
    for _ in range(100):
        clock.tick(ON_TIME)
        fill(clock.admission)
    assert len(clock.admission.server_state.tasks) == 512


def test_late_loop_admits_its_throughput(clock: Clock) -> None:
    clock.tick(LATE, finished=MANY)
    assert fill(clock.admission) == MANY


def test_one_count_without_cpu_does_not_lower_limit(clock: Clock) -> None:
    clock.tick(LATE, finished=MANY)
    clock.tick(LATE)
    assert fill(clock.admission) == MANY
    clock.tick(LATE)
    assert not clock.admission.can_admit()


def test_rejections_are_not_throughput(clock: Clock) -> None:
    clock.admission.rejected = 1000
    clock.tick(LATE, finished=1000 + MANY)
    assert fill(clock.admission) == MANY


def test_long_requests_do_not_count(clock: Clock) -> None:
    clock.tick(ON_TIME)
    assert fill(clock.admission) == TUNING.burst
    for _ in range(2):
        clock.tick(LATE, after=TUNING.long_request_seconds)
    assert fill(clock.admission) == TUNING.min_concurrency


def test_new_requests_count(clock: Clock) -> None:
    clock.tick(ON_TIME, after=TUNING.long_request_seconds)
    assert fill(clock.admission) == TUNING.burst
    clock.tick(LATE)
    assert fill(clock.admission) == 0


def test_slow_process_admits_min_concurrency(clock: Clock) -> None:
    clock.tick(LATE, finished=1)
    assert fill(clock.admission) == TUNING.min_concurrency


def test_finished_requests_do_not_count_until_they_are_removed(clock: Clock) -> None:
    clock.tick(LATE)
    assert fill(clock.admission) == TUNING.min_concurrency
    finished = [*cast(set[Future[None]], clock.admission.server_state.tasks)][:10]
    for request in finished:
        request.set_result(None)
    assert fill(clock.admission) == len(finished)


def test_limit_recovers_after_queue_time(clock: Clock) -> None:
    clock.tick(LATE, finished=MANY)
    clock.tick(ON_TIME, after=TUNING.max_queue_seconds / 5)
    assert fill(clock.admission) == MANY
    clock.tick(ON_TIME)
    assert fill(clock.admission) == TUNING.burst


async def test_busy_process_does_not_wait_for_idle_tick() -> None:
    async with running_admission(512, tuning=AdmissionTuning(idle_tick_seconds=60)) as admission:
        assert fill(admission) == TUNING.burst
        await eventually(admission.can_admit)
