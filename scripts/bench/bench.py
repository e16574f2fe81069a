"""`smarttrip bench`: all rows, one after the other, on services of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from pathlib import Path

import psutil

from scripts.bench.catalogues import Catalogue, catalogue
from scripts.bench.contest import Contender, Cpu, generate
from scripts.bench.figures import Plan
from scripts.bench.mix import searches
from scripts.bench.processes import Server, api, compared
from scripts.bench.raw import raw_searches
from scripts.bench.rows import BARE, DATABASE, LIMITED, RAW, Measuring, Row, events, recommendations, resource
from scripts.bench.servers import BARE_BYTES
from scripts.stack import control
from scripts.stack.running import running_stack

TODAY = date(2026, 11, 24)
SEED = 7
DISTINCT_SEARCHES = 2000
POPULAR = 20
"""Searches that many visitors make: all of them are in the cache."""
DISTINCT_EVENTS = 20_000
COMPLETE = '"timed_out":false'
"""Stands at the start of a search's answer."""
API_WORKERS = 2
CONCURRENCIES = (1, 8, 64)
BUSY = "A benchmark is running already."

Say = Callable[[str], None]


def bench(data: Path, sizes: Sequence[int], rounds: int, seconds: float, say: Say) -> list[Row]:
    """All rows of all sizes. Raises CommandError where another benchmark runs."""
    rows: list[Row] = []
    with running_stack(data, busy=BUSY) as services:
        for size in sizes:
            say(f"{size:,} departures: catalogue and index")
            for row in _rows(Bench(catalogue(size, services, TODAY), data), rounds, seconds):
                say(f"  {row.name}, {row.concurrency} at once: {row.throughput_ratio:.2f} of {row.against}")
                rows.append(row)
    return rows


class Bench:
    def __init__(self, made: Catalogue, data: Path) -> None:
        self.made = made
        self._data = data
        self.mix = searches(made.ids, DISTINCT_SEARCHES, SEED)

    def api(self, name: str, **env: str) -> AbstractContextManager[Server]:
        return api({**self.made.env, **env}, self._log(name), API_WORKERS)

    def compared(self, factory: str, **env: str) -> AbstractContextManager[Server]:
        return compared(factory, {**self.made.env, **env}, self._log(factory), API_WORKERS)

    def services_cpu(self) -> Cpu:
        pids = {state.service.name: state.pid for state in control.status(self._data) if state.pid}
        return lambda: {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in pids.items()}

    def _log(self, name: str) -> Path:
        return self._data / f"{name}.log"


def _rows(bench: Bench, rounds: int, seconds: float) -> Iterator[Row]:
    measuring = Measuring(bench.made.size, rounds, seconds, bench.services_cpu())
    with bench.api("fresh", ANSWER_CACHE_SECONDS="0") as fresh:
        yield from _uncached(bench, measuring, recommendations(fresh, bench.mix))
    with bench.api("kept") as kept:
        yield from _against_bare(bench, measuring, kept)
        popular = bench.mix[:POPULAR]
        with bench.api("limited", RATE_LIMIT_ENABLED="true", RATE_LIMIT_RECOMMENDATIONS="1000000/minute") as limited:
            limits = recommendations(limited, popular)
            yield measuring.row("cached", LIMITED, 8, recommendations(kept, popular), limits)


def _uncached(bench: Bench, measuring: Measuring, service: Contender) -> Iterator[Row]:
    url, bodies = raw_searches(bench.made.settings, bench.mix)
    raw = Contender(Plan(url=url, bodies=bodies, expected=COMPLETE), server=None)
    for concurrency in CONCURRENCIES:
        yield measuring.row("uncached", RAW, concurrency, service, raw)
    with bench.compared("database_only") as server:
        plan = replace(service.plan, url=f"{server.url}/", warm_up=False)
        yield measuring.row("uncached", DATABASE, 8, service, Contender(plan, server))


def _against_bare(bench: Bench, measuring: Measuring, kept: Server) -> Iterator[Row]:
    contests = (
        ("cached", recommendations(kept, bench.mix[:POPULAR]), CONCURRENCIES),
        ("reference data", resource(kept, "/api/locations"), CONCURRENCIES),
        ("events", events(kept, DISTINCT_EVENTS), (8,)),
    )
    for name, service, concurrencies in contests:
        size = generate(replace(service.plan, seconds=0.5, warm_up=False)).body_bytes
        with bench.compared("bare", **{BARE_BYTES: str(int(size))}) as bare:
            plan = replace(service.plan, url=f"{bare.url}/", status=200)
            for concurrency in concurrencies:
                yield measuring.row(name, BARE, concurrency, service, Contender(plan, bare))
