"""Run all rows of `smarttrip bench`, one after the other, on services of their own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from scripts.benchmark.baselines.elasticsearch import raw_searches
from scripts.benchmark.baselines.servers import database_only
from scripts.benchmark.comparison.bench import Bench
from scripts.benchmark.comparison.contestants import Contestant, generate
from scripts.benchmark.comparison.memory_growth import MemoryGrowth, measure_growth
from scripts.benchmark.comparison.results import GROWTH_CONCURRENCIES, BenchmarkResults
from scripts.benchmark.comparison.sanity_check import compare
from scripts.benchmark.comparison.scenarios import (
    CACHED,
    CONSTANT,
    DATABASE,
    LIMITED,
    LIMITED_SETTINGS,
    RAW,
    UNCACHED,
    UNCACHED_SETTINGS,
    Measurement,
    Pairing,
    Row,
    events,
    recommendations,
    resource,
)
from scripts.benchmark.comparison.tracking_stream import BenchStream
from scripts.benchmark.comparison.visitor_rows import forget_visitors, page_rows, tracked, tracked_rows
from scripts.benchmark.comparison.worker_limits import measure_limits
from scripts.benchmark.datasets import catalogue
from scripts.benchmark.load.plan import LoadPlan
from scripts.benchmark.processes import Server
from scripts.dev_stack.context import running_stack

TODAY = date(2026, 11, 24)
POPULAR = 20
"""Number of searches that many visitors send, so that all are in the cache."""
DISTINCT_EVENTS = 20_000
MIN_DATABASE_SEARCHES = 40
"""Minimum for the database-only server: the dozen that fit into a few seconds are not like the whole mix."""
COMPLETE = '"timed_out":false'
"""Text at the start of a search response."""
ELASTICSEARCH_WARM_UP_SECONDS = 15.0
"""The first thousands of searches take several times as long: the JVM still compiles."""
LOCATIONS = "/api/locations"
MAX_MAIN_SIZE = 100_000
BUSY = "A benchmark is running already."

Report = Callable[[str], None]


def bench(data: Path, sizes: Sequence[int], rounds: int, seconds: float, report: Report) -> BenchmarkResults:
    """Measure all rows. Raises CliError if another benchmark runs or a response is wrong."""
    measured = BenchmarkResults()
    with running_stack(data, busy=BUSY) as services:
        for size in sizes:
            report(f"{size:,} departures: catalogue and index")
            bench = Bench(catalogue(size, services, TODAY), data)
            env = bench.catalogue.env
            stream = BenchStream(env["REDIS_URL"], env["REDIS_PREFIX"])
            suite = Suite(bench, Measurement(size, rounds, seconds, bench.services_cpu(), stream), report, measured)
            with bench.api("uncached", **UNCACHED_SETTINGS) as uncached:
                if size == main_size(sizes):
                    suite.measure_all(uncached)
                else:
                    suite.measure_growth(uncached)
    return measured


def main_size(sizes: Sequence[int]) -> int:
    """Return the size at which everything is measured: the largest at which many requests take a reasonable time."""
    return max((size for size in sizes if size <= MAX_MAIN_SIZE), default=min(sizes))


class Suite:
    """The rows of one catalogue; adds them to the results."""

    def __init__(self, bench: Bench, measurement: Measurement, report: Report, results: BenchmarkResults) -> None:
        self._bench = bench
        self._measurement = measurement
        self._report = report
        self._results = results

    def measure_all(self, uncached: Server) -> None:
        bench, measurement = self._bench, self._measurement
        self._add(self._all_uncached(uncached))
        self._add(self._cached())
        forget_visitors(bench)
        self._add(page_rows(bench, measurement, uncached))
        with tracked(bench, measurement, self._results.rows[-1].search_ms) as system:
            self._add(tracked_rows(bench, system))
            self._report("  the worker's limits")
            self._results.worker += measure_limits(bench, system.api, measurement.stream, system.measurement.services)
        self._report("  memory after many mixed requests")
        self._results.memory = self._memory()

    def measure_growth(self, uncached: Server) -> None:
        """Measure what depends on the size of the catalogue."""
        with self._raw_pairing(uncached) as pairing:
            self._add(self._measurement.row(pairing, concurrency) for concurrency in GROWTH_CONCURRENCIES)

    def _add(self, rows: Iterator[Row]) -> None:
        for row in rows:
            of_search = "" if row.of_search is None else f", API CPU {row.of_search:.2f} of a search"
            self._report(f"  {row.name}, at once {row.at_once}: {row.ratio} of {row.against}{of_search}")
            self._results.rows.append(row)

    @contextmanager
    def _database_only(self, service: Contestant) -> Iterator[Contestant]:
        with self._bench.baseline(database_only) as server:
            yield Contestant(
                replace(service.plan, url=f"{server.url}/", requests=MIN_DATABASE_SEARCHES, warm_up=False), server
            )

    @contextmanager
    def _raw_pairing(self, uncached: Server) -> Iterator[Pairing]:
        """Check the service's results, and warm Elasticsearch up."""
        service = recommendations(uncached, self._bench.mix)
        with self._database_only(service) as database:
            compare(service, database)
        url, bodies = raw_searches(self._bench.catalogue.settings, self._bench.mix)
        raw = Contestant(LoadPlan(url=url, bodies=bodies, expected=COMPLETE), server=None)
        generate(replace(raw.plan, concurrency=8, seconds=ELASTICSEARCH_WARM_UP_SECONDS, warm_up=False))
        yield Pairing(UNCACHED, service, RAW, raw)

    def _all_uncached(self, uncached: Server) -> Iterator[Row]:
        with self._raw_pairing(uncached) as pairing:
            yield from self._measurement.rows(pairing)
            with self._database_only(pairing.service) as database:
                yield self._measurement.row(Pairing(UNCACHED, pairing.service, DATABASE, database), 8)

    def _cached(self) -> Iterator[Row]:
        bench = self._bench
        with bench.api("cached") as cached:
            yield from self._against_constant(cached)
            popular = recommendations(cached, bench.mix[:POPULAR])
            with bench.api("limited", **LIMITED_SETTINGS) as limited:
                pairing = Pairing(CACHED, popular, LIMITED, recommendations(limited, bench.mix[:POPULAR]))
                yield self._measurement.row(pairing, 8)

    def _against_constant(self, cached: Server) -> Iterator[Row]:
        for name, service in (
            (CACHED, recommendations(cached, self._bench.mix[:POPULAR])),
            ("reference data", resource(cached, LOCATIONS)),
        ):
            with self._bench.constant(service) as constant:
                yield from self._measurement.rows(Pairing(name, service, CONSTANT, constant))
        intake = events(cached, DISTINCT_EVENTS)
        with self._bench.constant(intake) as constant:
            for concurrency in (8, 64):
                yield self._measurement.row(Pairing("events", intake, CONSTANT, constant), concurrency)

    def _memory(self) -> MemoryGrowth:
        bench = self._bench
        with bench.api("memory") as server:
            kinds = (recommendations(server, bench.mix), resource(server, LOCATIONS), events(server, DISTINCT_EVENTS))
            return measure_growth(bench.catalogue.size, server, [kind.plan for kind in kinds])
