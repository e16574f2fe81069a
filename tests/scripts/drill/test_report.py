"""What a drill makes of the requests that it has sent."""

import dataclasses

from scripts.drill.load_generator import Outcome
from scripts.drill.report import DrillResult, FaultResult, evaluate, row, summary
from scripts.drill.traffic import Observation

OK = Observation(Outcome("search", 200, 0, 0.1))
DEGRADED = Observation(Outcome("search", 200, 0, 0.1, {"Warning": "199"}))
OVERLOADED = Observation(Outcome("search", 503, 0, 0.1, {}, b'{"code":"overloaded"}'))
BROKEN = Observation(Outcome("event", 0, 0, 0.1, {}, b"ConnectionResetError()"))
WRONG = Observation(Outcome("search", 200, 0, 0.1), wrong=True)


def result(*observations: Observation, fault: str = "data-node-killed") -> FaultResult:
    return evaluate(fault, observations, 1.5)


def test_fault_that_nobody_notices_passes() -> None:
    assert result(OK, OK).passed


def test_each_kind_of_notice_fails() -> None:
    for observation in (DEGRADED, OVERLOADED, BROKEN, WRONG):
        assert not result(OK, observation).passed


def test_degraded_searches_are_allowed_where_one_source_is_left() -> None:
    assert result(OK, DEGRADED, fault="postgres-failover").passed
    assert not result(OK, OVERLOADED, fault="postgres-failover").passed


def test_failures_are_counted_by_cause() -> None:
    found = result(OVERLOADED, OVERLOADED, BROKEN, OK)
    assert (found.requests, found.failed) == (4, 3)
    assert found.failures == {"search 503 overloaded": 2, "event 0 ConnectionResetError()": 1}
    assert "2 x search 503 overloaded" in row(found)


def test_percentiles_are_of_all_requests_and_of_searches() -> None:
    stale = [Observation(Outcome("search", 200, 0, number / 100), stale_seconds=number) for number in range(100)]
    found = result(*stale, Observation(Outcome("event", 200, 0, 9.0)))
    assert (found.p99, found.stale_p99) == (0.99, 99)


def test_lost_events_and_differences_fail_a_drill() -> None:
    drill = DrillResult(30, [result(OK)], lost_events=0, lost_changes=0, differences=0)
    assert drill.passed
    assert not dataclasses.replace(drill, lost_events=1).passed
    assert not dataclasses.replace(drill, lost_changes=1).passed
    assert not dataclasses.replace(drill, differences=1).passed
    assert drill.as_json()["faults"][0]["passed"] is True


def test_summary_says_how_much_load_there_was() -> None:
    drill = DrillResult(30, [result(OK)], lost_events=2, lost_changes=3, differences=1)
    assert summary(drill) == "30 searches and 50 changes a second; 2 events and 3 changes lost, 1 departures differ."
