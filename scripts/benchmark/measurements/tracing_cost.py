"""CPU time per request with tracing absent (no packages), off, at 1 % and at 100 %, measured in turns."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.table import Table

from scripts.benchmark.baselines.servers import trace_collector
from scripts.benchmark.comparison.bench import Bench
from scripts.benchmark.comparison.contestants import Contestant, generate
from scripts.benchmark.comparison.scenarios import CACHED, UNCACHED, recommendations
from scripts.benchmark.comparison.suite import BUSY, POPULAR, TODAY, Report
from scripts.benchmark.datasets import catalogue
from scripts.benchmark.processes import Server
from scripts.dev_stack.context import running_stack

ABSENT = "absent"
CONCURRENCY = 8

NO_PACKAGES = "raise ImportError('not installed')\n"
"""A package `opentelemetry` that stands before the installed one."""


@dataclass(frozen=True)
class TracingCost:
    requests: str
    """Kind of request: cached or uncached."""
    tracing: str
    cpu_ms: float
    """Median CPU milliseconds per request."""
    ratio: float
    """Median of the ratios to the same turn without the packages."""


def measure(data: Path, departures: int, rounds: int, seconds: float, report: Report) -> list[TracingCost]:
    """Measure the cost of traces. Raises: CliError, if another benchmark runs or a response is wrong."""
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue and index")
        bench = Bench(catalogue(departures, services, TODAY), data)
        costs: list[TracingCost] = []
        for requests, cache_seconds, count in ((CACHED, "240", POPULAR), (UNCACHED, "0", len(bench.mix))):
            report(f"{requests}: {rounds} turns")
            with _servers(bench, cache_seconds) as servers:
                contestants = {name: recommendations(server, bench.mix[:count]) for name, server in servers.items()}
                costs += _compare(requests, contestants, rounds, seconds)
        return costs


@contextmanager
def _servers(bench: Bench, cache_seconds: str) -> Iterator[Mapping[str, Server]]:
    """Run one server for each kind of tracing, and a collector that takes their spans."""
    with ExitStack() as stack, TemporaryDirectory() as folder:
        package = Path(folder, "opentelemetry")
        package.mkdir()
        package.joinpath("__init__.py").write_text(NO_PACKAGES, encoding="utf-8")
        collector = stack.enter_context(bench.baseline(trace_collector))
        on = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
        variants = {
            ABSENT: {"PYTHONPATH": folder},
            "off": {},
            "1 %": {**on, "OTEL_TRACES_SAMPLER_ARG": "0.01"},
            "100 %": {**on, "OTEL_TRACES_SAMPLER_ARG": "1"},
        }
        yield {
            name: stack.enter_context(bench.api("tracing", ANSWER_CACHE_SECONDS=cache_seconds, **variables))
            for name, variables in variants.items()
        }


def _compare(
    requests: str, contestants: Mapping[str, Contestant], rounds: int, seconds: float
) -> Iterator[TracingCost]:
    for contestant in contestants.values():
        generate(contestant.plan)
    # Servers that are warm stay so: a warm-up in each turn would take several times as long as the turn.
    turns = [{name: _cpu_ms(contestant, seconds) for name, contestant in contestants.items()} for _ in range(rounds)]
    for name in contestants:
        ratio = median(turn[name] / turn[ABSENT] for turn in turns)
        yield TracingCost(requests, name, median(turn[name] for turn in turns), ratio)


def _cpu_ms(contestant: Contestant, seconds: float) -> float:
    assert contestant.server is not None
    before = contestant.server.cpu_seconds()
    run = generate(replace(contestant.plan, concurrency=CONCURRENCY, seconds=seconds, warm_up=False))
    return (contestant.server.cpu_seconds() - before) / run.sent * 1000


def table(costs: list[TracingCost]) -> Table:
    rows = Table("requests", "tracing", "CPU ms per request", "ratio to absent", title="Cost of tracing")
    for cost in costs:
        rows.add_row(cost.requests, cost.tracing, f"{cost.cpu_ms:.3f}", f"{cost.ratio:.3f}")
    return rows
