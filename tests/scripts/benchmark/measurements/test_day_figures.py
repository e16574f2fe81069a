import pytest

from scripts.benchmark.load.visit import Kind
from scripts.benchmark.measurements.day_figures import Day, Traffic, tables

SECONDS = 10.0


def make_traffic(searches: int, kept: float) -> Traffic:
    """Return traffic with three times as many events as searches."""
    requests: dict[str, int] = {Kind.SEARCH: searches, Kind.EVENTS: 3 * searches}
    return Traffic(
        visitors=searches,
        seconds=SECONDS,
        requests=requests,
        failed=0,
        kept=kept,
        p95=dict.fromkeys(Kind, 1.0),
        cpu={"api": 1.0},
        changes=0,
    )


def test_hours_count_by_their_requests() -> None:
    day = Day.from_hours(
        1, {0: make_traffic(10, 0.0), 3: make_traffic(30, 1.0)}, {"api": 0.1}, {"events": {"api": 0.5}}
    )
    assert day.kept == pytest.approx(0.75)
    assert day.shares == pytest.approx({Kind.SEARCH: 0.25, Kind.EVENTS: 0.75})
    assert day.average_of_peak == pytest.approx(40 / 2 / 30)
    assert day.per_visitor == pytest.approx(4 / SECONDS)
    assert [rows.row_count for rows in tables(day)] == [2, 2]
