"""What a process answers while it is offered more searches than it can make, and how soon it is normal afterwards."""

import json
import random
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path

from scripts.benchmark.comparison.contestants import run_generator
from scripts.benchmark.comparison.scenarios import UNCACHED_SETTINGS
from scripts.benchmark.comparison.suite import BUSY, TODAY, Report
from scripts.benchmark.datasets import Catalogue, catalogue
from scripts.benchmark.load.flood_plan import FloodPlan, Phase, PhaseResult
from scripts.benchmark.measurements.duty_cycle import slowed
from scripts.benchmark.measurements.flood_figures import Flood, Refusals, Run, Variant
from scripts.benchmark.processes import Server, api_server, measure_cpu
from scripts.dev_stack import manager
from scripts.dev_stack.context import running_stack
from scripts.dev_stack.processes import running
from scripts.errors import CliError

CLIENTS = 8
WARM_UP_SECONDS = 12.0
"""The JVM still compiles while it makes the first thousands of searches."""
HALF = 0.5
FLOODS = (1, 2, 4, 10)
"""Offered searches, in multiples of the capacity."""
AFTER_SECONDS = 5.0
"""Seconds after a flood for which half of the capacity is offered."""
REFUSED_CLIENTS = 64
"""Clients of a closed loop that gets hardly anything but refusals."""
SLOW_SHARE = 0.2
"""Part of the time for which a slowed Elasticsearch runs."""
BREAKER_EVENT = "breaker"
SPIN = "while True: pass"


class Kind(StrEnum):
    ALONE = "alone"
    BUSY = "beside a busy process"
    SLOW = "Elasticsearch at a fifth"


VARIANTS = {kind.name.lower(): kind for kind in Kind}


def measure(
    data: Path, departures: int, seconds: float, report: Report, variants: Sequence[str] = tuple(VARIANTS)
) -> list[Variant]:
    """Measure the variants of these names. Raises: CliError, if another benchmark runs, or nothing is answered."""
    measured = []
    with running_stack(data, busy=BUSY) as services:
        report(f"{departures:,} departures: catalogue and index")
        made = catalogue(departures, services, TODAY)
        for kind in (VARIANTS[name] for name in variants):
            log = data / "flood.log"
            log.write_bytes(b"")
            with api_server({**made.env, **UNCACHED_SETTINGS}, log) as api:
                flooding = Flooding(data, made, api, log)
                flooding.run(Phase(seconds=WARM_UP_SECONDS, clients=CLIENTS))
                with _circumstances(kind, data):
                    measured.append(_measure(flooding, kind, seconds, report))
    return measured


def _circumstances(kind: Kind, data: Path) -> AbstractContextManager[object]:
    match kind:
        case Kind.ALONE:
            return nullcontext()
        case Kind.BUSY:
            return running([sys.executable, "-c", SPIN], data / "busy.log")
        case Kind.SLOW:
            pids = [state.pid for state in manager.status(data) if state.service.name == "elasticsearch"]
            assert pids[0] is not None
            return slowed(pids[0], SLOW_SHARE)


def _measure(flooding: "Flooding", kind: Kind, seconds: float, report: Report) -> Variant:
    capacity = flooding.run(Phase(seconds=seconds, clients=CLIENTS)).answered_per_second
    if not capacity:
        raise CliError(f"No search was answered; the log is {flooding.log}.")
    report(f"{kind}: {capacity:,.0f} searches/s")
    half = flooding.run(Phase(seconds=seconds, rate=HALF * capacity))
    floods = []
    for factor in FLOODS:
        rate = factor * capacity
        flood = flooding.run(
            Phase(seconds=seconds, rate=rate), after=Phase(seconds=AFTER_SECONDS, rate=HALF * capacity)
        )
        floods.append(Flood.of(factor, flood, capacity, half))
        report(f"  {floods[-1]}")
    hammered = flooding.run(Phase(seconds=seconds, clients=REFUSED_CLIENTS))
    return Variant(kind, capacity, half.p95(), floods, Refusals.of(hammered, half))


class Flooding:
    """Floods of one process."""

    def __init__(self, data: Path, made: Catalogue, api: Server, log: Path) -> None:
        self._made = made
        self._url = f"{api.url}/api/v2/recommendations"
        self._cpu = measure_cpu(data, {"api": api})
        self.log = log

    def run(self, phase: Phase, after: Phase | None = None) -> Run:
        """Offer searches that nobody has made before, and then those of `after` without a pause."""
        phases = [phase] if after is None else [phase, after]
        plan = FloodPlan(url=self._url, ids=self._made.ids, seed=random.getrandbits(32), phases=phases)
        logged, before = self.log.stat().st_size, self._cpu()
        printed = run_generator("scripts.benchmark.load.flood_generator", plan)
        results = [PhaseResult.from_json(json.loads(line)) for line in printed.splitlines()]
        used = {part: now - before[part] for part, now in self._cpu().items()}
        opened = BREAKER_EVENT in self.log.read_text()[logged:]
        return Run(phase.seconds, results[0], results[1].exchanges if after else (), used, breaker_opened=opened)
