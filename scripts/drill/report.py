"""The result of a drill, fault by fault."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.drill.faults import FAULTS
from scripts.drill.load_generator import percentile
from scripts.drill.traffic import CHANGES_PER_SEARCH, Observation

SLOW_SHARE = 0.01
"""Share of requests that may be degraded without a cause but a slow machine: Postgres, too, is asked after 0.7 s."""


@dataclass(frozen=True)
class FaultResult:
    fault: str
    requests: int
    failed: int
    """Requests without a response of success."""
    wrong: int
    """Searches that found other departures than they should, in another order or with a price that they never had, and
    other reference data."""
    degraded: int
    p99: float
    """Seconds, as stale_p99 and healed."""
    stale_p99: float
    """For how long a change had been committed that a search did not show."""
    healed: float
    """From the end of the fault until nothing was missing."""
    failures: dict[str, int] = field(default_factory=dict)
    """Number of failed requests by kind, status and error code."""

    @property
    def passed(self) -> bool:
        may_degrade = FAULTS[self.fault].may_degrade or self.degraded <= SLOW_SHARE * self.requests
        return not self.failed and not self.wrong and may_degrade


@dataclass(frozen=True)
class DrillResult:
    searches_per_second: float
    """What the machine has room for."""
    faults: Sequence[FaultResult]
    lost_events: int
    """Accepted events that are not stored, or more than once."""
    lost_changes: int
    """Departures whose price is older than the last one that was confirmed."""
    differences: int
    """Departures of which the index differs from Postgres at the end."""

    @property
    def passed(self) -> bool:
        lost = self.lost_events or self.lost_changes or self.differences
        return all(fault.passed for fault in self.faults) and not lost

    def as_json(self) -> dict[str, Any]:
        faults = [{**asdict(fault), "passed": fault.passed} for fault in self.faults]
        return {**asdict(self), "faults": faults, "passed": self.passed}


def evaluate(fault: str, observations: Sequence[Observation], healed: float) -> FaultResult:
    """Return the row of a fault from all requests that were sent during it and until it had healed."""
    outcomes = [observation.outcome for observation in observations]
    failures: dict[str, int] = {}
    for outcome in outcomes:
        if not outcome.succeeded:
            failures[outcome.summary] = failures.get(outcome.summary, 0) + 1
    stale = sorted(observation.stale_seconds for observation in observations if observation.outcome.kind == "search")
    return FaultResult(
        fault=fault,
        requests=len(outcomes),
        failed=sum(failures.values()),
        wrong=sum(observation.wrong for observation in observations),
        degraded=sum(outcome.degraded and outcome.kind == "search" for outcome in outcomes),
        p99=round(percentile(outcomes, 0.99), 3),
        stale_p99=round(stale[int(len(stale) * 0.99)], 2),
        healed=round(healed, 1),
        failures=failures,
    )


COLUMNS = {"requests": 9, "failed": 8, "wrong": 7, "degraded": 10, "p99 ms": 8, "stale p99 s": 13, "healed s": 10}
HEAD = f"{'fault':<19}" + "".join(name.rjust(width) for name, width in COLUMNS.items())


def row(result: FaultResult) -> str:
    """Return the line of a fault below HEAD; what failed comes last."""
    values = (result.requests, result.failed, result.wrong, result.degraded)
    times = (f"{result.p99 * 1000:.0f}", f"{result.stale_p99:.2f}", f"{result.healed:.1f}")
    figures = "".join(str(value).rjust(width) for value, width in zip((*values, *times), COLUMNS.values(), strict=True))
    failures = "".join(f"  {number} x {text}" for text, number in result.failures.items())
    return f"{result.fault:<19}{figures}{failures}"


def summary(result: DrillResult) -> str:
    """Return the line below the table: what the machine had room for, and what was compared at the end."""
    changes = result.searches_per_second * CHANGES_PER_SEARCH
    load = f"{result.searches_per_second:.0f} searches and {changes:.0f} changes a second"
    return f"{load}; {outcome(result)}."


def outcome(result: DrillResult) -> str:
    """Return what was lost and what differs at the end."""
    lost = f"{result.lost_events} events and {result.lost_changes} changes lost"
    return f"{lost}, {result.differences} departures differ"
