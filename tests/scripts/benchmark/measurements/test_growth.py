from scripts.benchmark.comparison.contestants import Result
from scripts.benchmark.load.plan import LoadResult
from scripts.benchmark.measurements.growth import MEASURED, Growth, table
from scripts.benchmark.measurements.sync_latency import LagSamples

RUN = LoadResult.from_latencies([0.01, 0.02], sent=2, wrong=(), body_bytes=100, seconds=1)


def make_growth(departures: int, api_ms: float, elasticsearch_ms: float) -> Growth:
    return Growth(
        departures=departures,
        reindex_seconds=1.0,
        index_mb=10.0,
        uncached=Result(RUN, {"server": api_ms, "elasticsearch": elasticsearch_ms, "valkey": 9.0}, None),
        memory_mb=dict.fromkeys(MEASURED, 100.0),
        lags=LagSamples("200 changes/s", [0.5, 0.6, 0.7]),
    )


def test_growth_compares_the_cpu_of_a_search_of_neighbouring_sizes() -> None:
    small, middle, large = make_growth(10, 1.0, 1.0), make_growth(100, 1.0, 3.0), make_growth(1000, 1.0, 11.0)
    rows = table([small, middle, large])
    assert rows.row_count == 3
    assert "from 10 to 100 departures 2.0 times, from 100 to 1,000 departures 3.0 times" in str(rows.caption)
    assert not table([small]).caption
