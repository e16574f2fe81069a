"""Rates, percentiles and states between two readings of the metrics of two processes."""

from collections.abc import Mapping

import pytest

from scripts.top.scrape import Scrape, parse
from scripts.top.summary import Interval, summarise

Counts = Mapping[str, int]

BEFORE = """
smarttrip_http_request_seconds_count{method="GET",route="/api/countries",status="200"} 100
smarttrip_http_request_seconds_bucket{le="0.01",method="GET",route="/api/countries",status="200"} 100
smarttrip_http_request_seconds_bucket{le="+Inf",method="GET",route="/api/countries",status="200"} 100
smarttrip_http_request_seconds_count{method="GET",route="/api/countries",status="503"} 0
smarttrip_http_requests_shed_total 8
smarttrip_breaker_state{dependency="redis"} 0
smarttrip_outbox_rows 3
"""
NOW = """
smarttrip_http_request_seconds_count{method="GET",route="/api/countries",status="200"} 120
smarttrip_http_request_seconds_bucket{le="0.01",method="GET",route="/api/countries",status="200"} 118
smarttrip_http_request_seconds_bucket{le="0.05",method="GET",route="/api/countries",status="200"} 120
smarttrip_http_request_seconds_bucket{le="+Inf",method="GET",route="/api/countries",status="200"} 120
smarttrip_http_request_seconds_count{method="GET",route="/api/countries",status="503"} 2
smarttrip_http_requests_shed_total 4
smarttrip_breaker_state{dependency="redis"} 2
smarttrip_outbox_rows 7
"""


def interval(before: str, now: str, processes: int = 2) -> Interval:
    names = [f"process {number}" for number in range(processes)]
    return Interval(scrape(10.0, dict.fromkeys(names, before)), scrape(12.0, dict.fromkeys(names, now)))


def scrape(at: float, texts: Mapping[str, str]) -> Scrape:
    return Scrape(at, {name: parse(text) for name, text in texts.items()}, {})


def searches(count: int) -> str:
    return f'smarttrip_http_request_seconds_count{{method="POST",route="/search",status="200"}} {count}\n'


def test_rates_are_sums_over_processes() -> None:
    (route,) = summarise(interval(BEFORE, NOW))["requests"].items()
    assert route[0] == "/api/countries"
    assert route[1]["rate"] == 22.0
    assert route[1]["failures"] == 2.0


def test_percentile_is_the_bound_of_its_bucket() -> None:
    requests = summarise(interval(BEFORE, NOW))["requests"]["/api/countries"]
    assert (requests["p50"], requests["p95"]) == (0.01, 0.05)


def test_counter_that_began_anew_counts_from_zero() -> None:
    assert summarise(interval(BEFORE, NOW))["api"]["shed"] == 4.0


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param({"first": 90_000, "second": 90_000}, {"first": 90_010, "second": 4}, id="one restarts"),
        pytest.param({"first": 90_000, "second": 90_000}, {"first": 90_014}, id="one ends"),
        pytest.param({"first": 90_000}, {"first": 90_014, "second": 90_000}, id="one is read for the first time"),
    ],
)
def test_rates_count_nothing_that_happened_before_the_interval(before: Counts, now: Counts) -> None:
    readings = [scrape(at, {name: searches(n) for name, n in of.items()}) for at, of in ((10.0, before), (12.0, now))]
    assert summarise(Interval(*readings))["requests"]["/search"]["rate"] == 7.0


def test_processor_time_of_a_replaced_child_counts_from_zero() -> None:
    before, now = (f'process_cpu_seconds_total{{pid="{pid}"}} {spent}\n' for pid, spent in ((1, 500), (2, 1)))
    assert summarise(interval(before, now, processes=1))["processes"]["cores"] == 0.5


def test_state_of_several_processes_is_the_worst() -> None:
    summary = summarise(interval(BEFORE, NOW))
    assert summary["breakers"] == {"redis": "open"}
    assert summary["index"]["outbox_rows"] == 7


def test_unknown_values_are_none() -> None:
    summary = summarise(interval("", "", processes=1))
    assert summary["index"]["lag"] == {"p50": None, "p95": None, "p99": None}
    assert summary["index"]["drift"] is None
    assert summary["requests"] == {}
