"""`smarttrip bench`: all rows, one after the other, on services of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import psutil
from starlette.applications import Starlette

from scripts.benchmark.baseline_servers import BARE_BYTES, constant_server, database_only
from scripts.benchmark.compare import Contestant, Cpu, generate
from scripts.benchmark.datasets import Catalogue, catalogue
from scripts.benchmark.elasticsearch_baseline import raw_searches
from scripts.benchmark.load_plan import LoadPlan
from scripts.benchmark.memory_growth import Soak, soak
from scripts.benchmark.processes import Server, api_server, baseline_server
from scripts.benchmark.results import Measured
from scripts.benchmark.sanity_check import compare
from scripts.benchmark.scenarios import (
    BARE,
    CACHED,
    DATABASE,
    LIMITED,
    RAW,
    UNCACHED,
    Measuring,
    Pairing,
    Row,
    events,
    recommendations,
    resource,
)
from scripts.benchmark.workload import searches
from scripts.dev_stack import manager
from scripts.dev_stack.context import running_stack

TODAY = date(2026, 11, 24)
SEED = 7
DISTINCT_SEARCHES = 2000
POPULAR = 20
"""Searches that many visitors make: all of them are in the cache."""
DISTINCT_EVENTS = 20_000
SEARCHED_AT_LEAST = 40
"""By the database-only way: the first dozen that go into a few seconds are not like the whole mix."""
COMPLETE = '"timed_out":false'
"""Stands at the start of a search's answer."""
COMPILING_SECONDS = 15.0
"""Elasticsearch's first thousands of searches take several times as long as those after them."""
LOCATIONS = "/api/locations"
LARGEST_SOAKED = 100_000
BUSY = "A benchmark is running already."

Say = Callable[[str], None]


def bench(data: Path, sizes: Sequence[int], rounds: int, seconds: float, say: Say) -> Measured:
    """All rows of all sizes. Raises CliError where another benchmark runs, and where an answer is wrong."""
    measured = Measured()
    with running_stack(data, busy=BUSY) as services:
        for size in sizes:
            say(f"{size:,} departures: catalogue and index")
            bench = Bench(catalogue(size, services, TODAY), data)
            for row in _rows(bench, rounds, seconds):
                say(f"  {row.name}, at once {row.at_once}: {row.ratio} of {row.against}")
                measured.rows.append(row)
            if size == soaked(sizes):
                say("  memory after many mixed requests")
                measured.memory = _soak(bench)
    return measured


def soaked(sizes: Sequence[int]) -> int:
    """The size at which memory is looked at: the largest that can be asked so often in reasonable time."""
    return max((size for size in sizes if size <= LARGEST_SOAKED), default=min(sizes))


class Bench:
    def __init__(self, made: Catalogue, data: Path) -> None:
        self.made = made
        self._data = data
        self.mix = searches(made.ids, DISTINCT_SEARCHES, SEED)

    def api(self, name: str, **env: str) -> AbstractContextManager[Server]:
        return api_server({**self.made.env, **env}, self._log(name))

    def baseline(self, factory: Callable[[], Starlette], **env: str) -> AbstractContextManager[Server]:
        return baseline_server(factory, {**self.made.env, **env}, self._log(factory.__name__))

    def services_cpu(self) -> Cpu:
        pids = {state.service.name: state.pid for state in manager.status(self._data) if state.pid}
        return lambda: {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in pids.items()}

    def _log(self, name: str) -> Path:
        return self._data / f"{name}.log"


def _rows(bench: Bench, rounds: int, seconds: float) -> Iterator[Row]:
    redis_url = bench.made.env["REDIS_URL"]
    measuring = Measuring(bench.made.size, rounds, seconds, bench.services_cpu(), redis_url)
    with bench.api("fresh", ANSWER_CACHE_SECONDS="0") as fresh:
        service = recommendations(fresh, bench.mix)
        with _database_only(bench, service) as database:
            compare(service, database)
        yield from _uncached(bench, measuring, service)
    with bench.api("kept") as kept:
        yield from _against_bare(bench, measuring, kept)
        popular = recommendations(kept, bench.mix[:POPULAR])
        with bench.api("limited", RATE_LIMIT_ENABLED="true", RATE_LIMIT_RECOMMENDATIONS="1000000/minute") as limited:
            limits = recommendations(limited, bench.mix[:POPULAR])
            yield measuring.row(Pairing(CACHED, popular, LIMITED, limits), 8)


@contextmanager
def _database_only(bench: Bench, service: Contestant) -> Iterator[Contestant]:
    with bench.baseline(database_only) as server:
        yield Contestant(replace(service.plan, url=f"{server.url}/", requests=SEARCHED_AT_LEAST, warm_up=False), server)


def _uncached(bench: Bench, measuring: Measuring, service: Contestant) -> Iterator[Row]:
    url, bodies = raw_searches(bench.made.settings, bench.mix)
    raw = Contestant(LoadPlan(url=url, bodies=bodies, expected=COMPLETE), server=None)
    generate(replace(raw.plan, concurrency=8, seconds=COMPILING_SECONDS, warm_up=False))
    yield from measuring.rows(Pairing(UNCACHED, service, RAW, raw))
    with _database_only(bench, service) as database:
        yield measuring.row(Pairing(UNCACHED, service, DATABASE, database), 8)


def _against_bare(bench: Bench, measuring: Measuring, kept: Server) -> Iterator[Row]:
    for name, service in (
        (CACHED, recommendations(kept, bench.mix[:POPULAR])),
        ("reference data", resource(kept, LOCATIONS)),
    ):
        with _bare(bench, service) as bare:
            yield from measuring.rows(Pairing(name, service, BARE, bare))
    intake = events(kept, DISTINCT_EVENTS)
    with _bare(bench, intake) as bare:
        for concurrency in (8, 64):
            yield measuring.row(Pairing("events", intake, BARE, bare), concurrency)


@contextmanager
def _bare(bench: Bench, service: Contestant) -> Iterator[Contestant]:
    """Answers as many bytes."""
    size = generate(replace(service.plan, seconds=0.5, warm_up=False)).body_bytes
    with bench.baseline(constant_server, **{BARE_BYTES: str(int(size))}) as server:
        yield Contestant(replace(service.plan, url=f"{server.url}/", status=200), server)


def _soak(bench: Bench) -> Soak:
    with bench.api("soaked") as server:
        kinds = (recommendations(server, bench.mix), resource(server, LOCATIONS), events(server, DISTINCT_EVENTS))
        return soak(bench.made.size, server, [kind.plan for kind in kinds])
