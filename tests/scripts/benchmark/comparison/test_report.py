"""What is told of what was measured."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from scripts.benchmark.comparison.contestants import Result
from scripts.benchmark.comparison.memory_growth import MemoryGrowth
from scripts.benchmark.comparison.report import as_json, sentences, table
from scripts.benchmark.comparison.results import BenchmarkResults, LatencyGrowth, PeakThroughput
from scripts.benchmark.comparison.scenarios import CONSTANT, DATABASE, RAW, SEARCH, SERVICE, UNCACHED, Row
from scripts.benchmark.comparison.suite import main_size
from scripts.benchmark.comparison.worker_limits import WorkerLimit
from scripts.benchmark.load.plan import LoadResult


def result(p50: float, *, per_second: float = 100, errors: int = 0, memory_mb: float | None = 120) -> Result:
    run = LoadResult(
        requests=10, sent=10, errors=errors, per_second=per_second, p50=p50, p95=2 * p50, p99=3 * p50, body_bytes=9
    )
    return Result(run, {"server": 1.5}, memory_mb)


def row(
    size: int,
    concurrency: int,
    p50: float,
    *,
    name: str = UNCACHED,
    against: str = RAW,
    rate: float = 0,
    errors: int = 0,
    per_second: tuple[float, float] = (100, 200),
) -> Row:
    service, other = per_second
    results = {
        SERVICE: result(p50, per_second=service, errors=errors),
        against: result(1, per_second=other, memory_mb=None),
    }
    return Row(name, size, concurrency, against, results, rate)


MEASURED = BenchmarkResults(
    rows=[
        row(10_000, 8, 6),
        row(1000, 8, 4),
        row(100_000, 8, 12),
        row(100_000, 64, 90),
        row(100_000, 8, 7, against=DATABASE),
        row(1000, 8, 3, name="cached", against=CONSTANT),
        row(1000, 64, 3, name="cached", against=CONSTANT, per_second=(150, 160)),
        row(1000, 64, 3, name="cached", against=CONSTANT, per_second=(900, 100), rate=900),
        row(1000, 8, 3, name="events", against=CONSTANT, per_second=(80, 320)),
        row(1000, 64, 3, name="uncached, open", rate=150.4),
    ],
    worker=[WorkerLimit("events", 4321.4, {"worker": 0.2, "postgres": 0.0314, "elasticsearch": 0.0001})],
    memory=MemoryGrowth(100_000, [10_000, 20_000, 30_000], [118.2, 119.4, 119.6], 0),
)


def test_growth_compares_uncached_p50_between_sizes() -> None:
    assert MEASURED.growth == [LatencyGrowth(1000, 10_000, 8, 1.5), LatencyGrowth(10_000, 100_000, 8, 2)]


def test_peak_is_the_best_closed_loop_of_each_side() -> None:
    assert MEASURED.highest == [PeakThroughput("cached", 1000, 150, 200), PeakThroughput("events", 1000, 80, 320)]


def test_sentences_report_peaks_growth_and_memory() -> None:
    assert list(sentences(MEASURED)) == [
        "highest throughput of cached, 1,000 departures: 150/s, 0.75 of the bare server's 200/s",
        "highest throughput of events, 1,000 departures: 80/s, 0.25 of the bare server's 320/s",
        "growth of uncached p50, 1,000 -> 10,000 departures, 8 at once: 1.50 times",
        "growth of uncached p50, 10,000 -> 100,000 departures, 8 at once: 2.00 times",
        "one worker, events: 4,321 a second, CPU ms of each: worker 0.200, postgres 0.031",
        "memory of the API's largest process after 10,000 .. 30,000 mixed requests: 118, 119, 120 MB",
    ]


def test_table_shows_memory_rate_and_latency() -> None:
    drawn = StringIO()
    Console(file=drawn, width=160).print(table(MEASURED.rows))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in drawn.getvalue().splitlines()]
    closed, raw = (line for line in lines if line[:3] == ["10,000", "uncached", "8"])
    assert closed[-3:] == ["120", "0.50", ""]
    assert raw[-3:] == ["", "", ""]
    opened = next(line for line in lines if line[1:2] == ["uncached, open"])
    assert (opened[2], opened[-2]) == ("150/s", "p95 3.00")


def test_request_is_set_beside_an_uncached_search() -> None:
    alone = row(1000, 8, 3, name="trip page", against=CONSTANT)
    search = replace(result(5), cpu_ms={"server": 6.0})
    beside = replace(alone, results={**alone.results, SEARCH: search}, search_ms=6.0)
    assert (alone.of_search, beside.of_search) == (None, 0.25)
    drawn = StringIO()
    Console(file=drawn, width=160).print(table([beside]))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in drawn.getvalue().splitlines()]
    shown = {line[3]: line[-2:] for line in lines if len(line) > 3}
    assert shown == {SERVICE: ["0.50", "0.25"], CONSTANT: ["", ""], SEARCH: ["", ""]}


def test_results_as_json_have_rows_and_figures() -> None:
    written = json.loads(as_json(MEASURED))
    assert written["highest"][0] == {"name": "cached", "size": 1000, "service": 150, "bare": 200, "ratio": 0.75}
    assert written["growth"][1] == {"smaller": 10_000, "larger": 100_000, "concurrency": 8, "times": 2.0}
    assert written["memory"]["megabytes"] == [118.2, 119.4, 119.6]
    assert written["rows"][-1]["rate"] == 150.4
    assert written["rows"][0]["results"][SERVICE]["memory_mb"] == 120
    assert written["rows"][0]["results"][RAW]["memory_mb"] is None


def test_errors_of_all_parts_are_summed() -> None:
    assert MEASURED.errors == 0
    assert BenchmarkResults([row(1000, 8, 4, errors=2)], memory=MemoryGrowth(1000, [10], [100], 3)).errors == 5


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ([1000, 10_000, 100_000], 100_000),
        ([10_000, 1000], 10_000),
        ([10_000, 1_000_000], 10_000),
        ([2_000_000, 1_000_000], 1_000_000),
    ],
)
def test_everything_is_measured_at_the_largest_size_up_to_100_000(sizes: list[int], size: int) -> None:
    assert main_size(sizes) == size
