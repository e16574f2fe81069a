import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmark.load.visit import Kind
from scripts.benchmark.measurements.day_figures import Day, Hour, table

SECONDS = 10.0


def make_hour(searches: int, *, kept: float = 0.5, idle: float = 0.1, request_ms: float = 2.0) -> Hour:
    """Return an hour with three times as many events as searches, whose cost is on a straight line."""
    requests: dict[str, int] = {Kind.SEARCH: searches, Kind.EVENTS: 3 * searches}
    return Hour(
        hour=0,
        visitors=searches,
        seconds=SECONDS,
        requests=requests,
        failed=0,
        kept=kept,
        p95=dict.fromkeys(Kind, 1.0),
        cpu={"api": idle * SECONDS + request_ms / 1000 * sum(requests.values())},
        changes=0,
    )


@given(st.floats(0, 1), st.floats(0, 50))
def test_cost_of_a_request_is_told_apart_from_idling(idle: float, request_ms: float) -> None:
    day = Day.from_hours(1, [make_hour(count, idle=idle, request_ms=request_ms) for count in (10, 40, 100)])
    assert day.costs["api"].request_ms == pytest.approx(request_ms, abs=1e-6)
    assert day.costs["api"].idle_cores == pytest.approx(idle, abs=1e-6)


def test_hours_count_by_their_requests() -> None:
    day = Day.from_hours(1, [make_hour(10, kept=0.0), make_hour(30, kept=1.0)])
    assert day.kept == pytest.approx(0.75)
    assert day.shares == pytest.approx({Kind.SEARCH: 0.25, Kind.EVENTS: 0.75})
    assert day.average_of_peak == pytest.approx(40 / 2 / 30)
    assert day.per_visitor == pytest.approx(4 / SECONDS)
    assert table(day).row_count == 2
