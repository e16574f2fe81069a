from dataclasses import replace

import pytest

from scripts.benchmark.load.visit import Kind
from scripts.benchmark.measurements.capacity import MAX_P95, is_in_time, table
from scripts.benchmark.measurements.day_figures import Traffic

FAST = Traffic(
    visitors=1000,
    seconds=10.0,
    requests={Kind.SEARCH: 100, Kind.EVENTS: 1900},
    failed=0,
    kept=0.8,
    p95=dict.fromkeys(Kind, MAX_P95 / 2),
    cpu={"api": 5.0, "worker": 1.0},
    changes=1.0,
)


@pytest.mark.parametrize("kind", Kind)
def test_one_slow_kind_of_requests_ends_the_capacity(kind: Kind) -> None:
    assert is_in_time(FAST)
    assert not is_in_time(replace(FAST, p95={**FAST.p95, kind: MAX_P95}))


def test_failed_request_ends_the_capacity() -> None:
    assert not is_in_time(replace(FAST, failed=1))


def test_capacity_is_the_highest_rate_in_time() -> None:
    slow = replace(FAST, visitors=1250, requests={Kind.SEARCH: 5000}, p95={Kind.SEARCH: 900.0})
    steps = table([FAST, slow])
    assert str(steps.caption).endswith("up to 200 requests a second")
    assert steps.row_count == 2
    assert str(table([slow]).caption).endswith("not even at first")
