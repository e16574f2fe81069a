"""Run all rows of `smarttrip bench`, one after the other, on services of their own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from starlette.applications import Starlette

from scripts.benchmark.baselines.elasticsearch import raw_searches
from scripts.benchmark.baselines.servers import RESPONSE_BYTES, constant_server, database_only
from scripts.benchmark.comparison.contestants import Contestant, Cpu, generate
from scripts.benchmark.comparison.memory_growth import MemoryGrowth, measure_growth
from scripts.benchmark.comparison.results import BenchmarkResults
from scripts.benchmark.comparison.sanity_check import compare
from scripts.benchmark.comparison.scenarios import (
    CACHED,
    CONSTANT,
    DATABASE,
    LIMITED,
    RAW,
    UNCACHED,
    Measurement,
    Pairing,
    Row,
    events,
    recommendations,
    resource,
)
from scripts.benchmark.datasets import Catalogue, catalogue
from scripts.benchmark.load.plan import LoadPlan
from scripts.benchmark.load.workload import searches
from scripts.benchmark.processes import Server, api_server, baseline_server, measure_cpu
from scripts.dev_stack.context import running_stack

TODAY = date(2026, 11, 24)
SEED = 7
DISTINCT_SEARCHES = 2000
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
MAX_MEMORY_SIZE = 100_000
BUSY = "A benchmark is running already."

Report = Callable[[str], None]


def bench(data: Path, sizes: Sequence[int], rounds: int, seconds: float, report: Report) -> BenchmarkResults:
    """Measure all rows of all sizes. Raises CliError if another benchmark runs or a response is wrong."""
    measured = BenchmarkResults()
    with running_stack(data, busy=BUSY) as services:
        for size in sizes:
            report(f"{size:,} departures: catalogue and index")
            bench = Bench(catalogue(size, services, TODAY), data)
            for row in _rows(bench, rounds, seconds):
                report(f"  {row.name}, at once {row.at_once}: {row.ratio} of {row.against}")
                measured.rows.append(row)
            if size == memory_size(sizes):
                report("  memory after many mixed requests")
                measured.memory = _memory(bench)
    return measured


def memory_size(sizes: Sequence[int]) -> int:
    """Return the largest size at which the memory requests take a reasonable time."""
    return max((size for size in sizes if size <= MAX_MEMORY_SIZE), default=min(sizes))


class Bench:
    """The servers and searches of one catalogue."""

    def __init__(self, catalogue: Catalogue, data: Path) -> None:
        self.catalogue = catalogue
        self._data = data
        self.mix = searches(catalogue.ids, DISTINCT_SEARCHES, SEED)

    def api(self, name: str, **env: str) -> AbstractContextManager[Server]:
        return api_server({**self.catalogue.env, **env}, self._log(name))

    def baseline(self, factory: Callable[[], Starlette], **env: str) -> AbstractContextManager[Server]:
        return baseline_server(factory, {**self.catalogue.env, **env}, self._log(factory.__name__))

    def services_cpu(self) -> Cpu:
        return measure_cpu(self._data)

    def _log(self, name: str) -> Path:
        return self._data / f"{name}.log"


def _rows(bench: Bench, rounds: int, seconds: float) -> Iterator[Row]:
    env = bench.catalogue.env
    measurement = Measurement(
        bench.catalogue.size, rounds, seconds, bench.services_cpu(), env["REDIS_URL"], env["REDIS_PREFIX"]
    )
    with bench.api("uncached", ANSWER_CACHE_SECONDS="0") as uncached:
        service = recommendations(uncached, bench.mix)
        with _database_only(bench, service) as database:
            compare(service, database)
        yield from _uncached(bench, measurement, service)
    with bench.api("cached") as cached:
        yield from _against_constant(bench, measurement, cached)
        popular = recommendations(cached, bench.mix[:POPULAR])
        with bench.api("limited", RATE_LIMIT_ENABLED="true", RATE_LIMIT_RECOMMENDATIONS="1000000/minute") as limited:
            limits = recommendations(limited, bench.mix[:POPULAR])
            yield measurement.row(Pairing(CACHED, popular, LIMITED, limits), 8)


@contextmanager
def _database_only(bench: Bench, service: Contestant) -> Iterator[Contestant]:
    with bench.baseline(database_only) as server:
        yield Contestant(
            replace(service.plan, url=f"{server.url}/", requests=MIN_DATABASE_SEARCHES, warm_up=False), server
        )


def _uncached(bench: Bench, measurement: Measurement, service: Contestant) -> Iterator[Row]:
    url, bodies = raw_searches(bench.catalogue.settings, bench.mix)
    raw = Contestant(LoadPlan(url=url, bodies=bodies, expected=COMPLETE), server=None)
    generate(replace(raw.plan, concurrency=8, seconds=ELASTICSEARCH_WARM_UP_SECONDS, warm_up=False))
    yield from measurement.rows(Pairing(UNCACHED, service, RAW, raw))
    with _database_only(bench, service) as database:
        yield measurement.row(Pairing(UNCACHED, service, DATABASE, database), 8)


def _against_constant(bench: Bench, measurement: Measurement, cached: Server) -> Iterator[Row]:
    for name, service in (
        (CACHED, recommendations(cached, bench.mix[:POPULAR])),
        ("reference data", resource(cached, LOCATIONS)),
    ):
        with _constant(bench, service) as constant:
            yield from measurement.rows(Pairing(name, service, CONSTANT, constant))
    intake = events(cached, DISTINCT_EVENTS)
    with _constant(bench, intake) as constant:
        for concurrency in (8, 64):
            yield measurement.row(Pairing("events", intake, CONSTANT, constant), concurrency)


@contextmanager
def _constant(bench: Bench, service: Contestant) -> Iterator[Contestant]:
    """Start a constant server whose responses are as large as the service's."""
    size = generate(replace(service.plan, seconds=0.5, warm_up=False)).body_bytes
    with bench.baseline(constant_server, **{RESPONSE_BYTES: str(int(size))}) as server:
        yield Contestant(replace(service.plan, url=f"{server.url}/", status=200), server)


def _memory(bench: Bench) -> MemoryGrowth:
    with bench.api("memory") as server:
        kinds = (recommendations(server, bench.mix), resource(server, LOCATIONS), events(server, DISTINCT_EVENTS))
        return measure_growth(bench.catalogue.size, server, [kind.plan for kind in kinds])
