"""Contenders that do the same work take turns, so that what else the machine does hits them alike."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from scripts.benchmark.load_plan import LoadPlan, LoadResult, median_run
from scripts.benchmark.processes import Server
from scripts.errors import CliError

Cpu = Callable[[], Mapping[str, float]]
"""CPU seconds that each part of the system has used so far."""


@dataclass(frozen=True)
class Contestant:
    plan: LoadPlan
    server: Server | None
    """None if Elasticsearch itself is asked."""


@dataclass(frozen=True)
class Result:
    run: LoadResult
    cpu_ms: Mapping[str, float]
    """Per request, by part of the system."""
    memory_mb: float | None
    """That the server's largest process holds after the rounds; None if Elasticsearch itself is asked."""


def run_comparison(contenders: Mapping[str, Contestant], rounds: int, services: Cpu) -> dict[str, Result]:
    """By contender the median of its rounds; each round begins with a warm-up."""
    runs: dict[str, list[LoadResult]] = {name: [] for name in contenders}
    used: dict[str, list[Mapping[str, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            before = _cpu(contender, services)
            runs[name].append(generate(contender.plan))
            after = _cpu(contender, services)
            used[name].append({part: after[part] - before[part] for part in after})
    return {
        name: Result(median_run(runs[name]), _per_request(runs[name], used[name]), _memory_mb(contender))
        for name, contender in contenders.items()
    }


def _cpu(contender: Contestant, services: Cpu) -> dict[str, float]:
    server = {} if contender.server is None else {"server": contender.server.cpu_seconds()}
    return {**server, **services()}


def _memory_mb(contender: Contestant) -> float | None:
    return None if contender.server is None else contender.server.memory_mb()


def generate(plan: LoadPlan) -> LoadResult:
    """Raises CliError if no answer was right."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmark.load_generator"],
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CliError(f"{plan.method} {plan.url}: {done.stderr.strip()}")
    return LoadResult(**json.loads(done.stdout))


def _per_request(runs: list[LoadResult], used: list[Mapping[str, float]]) -> dict[str, float]:
    requests = sum(run.sent for run in runs)
    return {part: sum(use[part] for use in used) / requests * 1000 for part in used[0]}
