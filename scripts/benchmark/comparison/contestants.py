"""Run contestants that do the same work in turns, so that other load on the machine affects all of them."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from scripts.benchmark.load.flood_plan import FloodPlan
from scripts.benchmark.load.plan import LoadPlan, LoadResult, median_run
from scripts.benchmark.processes import Server
from scripts.errors import CliError

Cpu = Callable[[], Mapping[str, float]]
"""Returns the CPU seconds that each part of the system has used so far."""


@dataclass(frozen=True)
class Contestant:
    plan: LoadPlan
    server: Server | None
    """None if the requests go to Elasticsearch itself."""
    settle: Callable[[], None] = lambda: None
    """Waits until all that a run has begun is done."""


@dataclass(frozen=True)
class Result:
    run: LoadResult
    cpu_ms: Mapping[str, float]
    """CPU milliseconds per request, by part of the system."""
    memory_mb: float | None
    """Resident memory of the server's largest process after the rounds; None for Elasticsearch itself."""


def run_comparison(contestants: Mapping[str, Contestant], rounds: int, services: Cpu) -> dict[str, Result]:
    """Return the median result of each contestant's rounds, of which the first starts with a warm-up.

    A round goes on with the requests that follow those of the round before.
    """
    runs: dict[str, list[LoadResult]] = {name: [] for name in contestants}
    used: dict[str, list[Mapping[str, float]]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, contestant in contestants.items():
            plan = replace(
                contestant.plan,
                warm_up=contestant.plan.warm_up and number == 0,
                skip=contestant.plan.skip + sum(run.sent for run in runs[name]),
            )
            before = _cpu(contestant, services)
            runs[name].append(generate(plan))
            contestant.settle()
            after = _cpu(contestant, services)
            used[name].append({part: after[part] - before[part] for part in after})
    return {
        name: Result(median_run(runs[name]), _per_request(runs[name], used[name]), _memory_mb(contestant))
        for name, contestant in contestants.items()
    }


def _cpu(contestant: Contestant, services: Cpu) -> dict[str, float]:
    server = {} if contestant.server is None else {"server": contestant.server.cpu_seconds()}
    return {**server, **services()}


def _memory_mb(contestant: Contestant) -> float | None:
    return None if contestant.server is None else contestant.server.memory_mb()


def generate(plan: LoadPlan) -> LoadResult:
    """Run the load generator in a process of its own. Raises CliError if no response was correct."""
    return LoadResult(**json.loads(run_generator("scripts.benchmark.load.generator", plan)))


def run_generator(module: str, plan: LoadPlan | FloodPlan) -> str:
    """Run a load generator in a process of its own, and return what it prints. Raises CliError if it fails."""
    completed = subprocess.run(
        [sys.executable, "-m", module], input=json.dumps(asdict(plan)), capture_output=True, text=True, check=False
    )
    if completed.returncode:
        raise CliError(f"{plan.url}: {completed.stderr.strip()}")
    return completed.stdout


def _per_request(runs: list[LoadResult], used: list[Mapping[str, float]]) -> dict[str, float]:
    requests = sum(run.sent for run in runs)
    return {part: sum(use[part] for use in used) / requests * 1000 for part in used[0]}
