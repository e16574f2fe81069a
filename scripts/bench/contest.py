"""Contenders that do the same work take turns, so that what else the machine does hits them alike."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from scripts.bench.figures import Plan, Run, middle

Cpu = Callable[[], Mapping[str, float]]
"""CPU seconds that each part of the system has used so far."""


@dataclass(frozen=True)
class Result:
    run: Run
    cpu_ms: Mapping[str, float]
    """Per request, by part of the system."""


def contest(plans: Mapping[str, Plan], rounds: int, cpu: Cpu) -> dict[str, Result]:
    """By contender the median of its rounds. The first round comes after a warm-up."""
    runs: dict[str, list[Run]] = {name: [] for name in plans}
    used: dict[str, list[Mapping[str, float]]] = {name: [] for name in plans}
    for _ in range(rounds):
        for name, plan in plans.items():
            before = cpu()
            run = generate(plan)
            runs[name].append(run)
            used[name].append({part: seconds - before[part] for part, seconds in cpu().items()})
    return {name: Result(middle(runs[name]), _per_request(runs[name], used[name])) for name in plans}


def generate(plan: Plan) -> Run:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.bench.load"],
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Run(**json.loads(done.stdout))


def _per_request(runs: list[Run], used: list[Mapping[str, float]]) -> dict[str, float]:
    requests = sum(run.sent for run in runs)
    return {part: sum(use[part] for use in used) / requests * 1000 for part in used[0]}
