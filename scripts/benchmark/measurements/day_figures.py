"""Figures of a day of traffic, for people and for `smarttrip size`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from scripts.benchmark.load.visit import Kind
from scripts.benchmark.measurements.request_costs import Costs


@dataclass(frozen=True)
class Hour:
    hour: int
    visitors: int
    seconds: float
    requests: Mapping[str, int]
    """Answered, by kind."""
    failed: int
    kept: float
    """Part of the searches that no search in the index was made for."""
    p95: Mapping[str, float]
    """Milliseconds, by kind."""
    cpu: Mapping[str, float]
    """Seconds, by part of the system."""
    changes: float
    """A second."""

    @property
    def per_second(self) -> float:
        return sum(self.requests.values()) / self.seconds


@dataclass(frozen=True)
class Day:
    departures: int
    hours: Sequence[Hour]
    per_visitor: float
    """Requests a second of a visitor on the site."""
    shares: Mapping[str, float]
    """Of the requests, by kind."""
    kept: float
    """Part of the day's searches that no search in the index was made for."""
    idle: Mapping[str, float]
    """Cores that each part of the system uses without requests."""
    costs: Costs
    average_of_peak: float
    """Requests of the day as a share of those at the rate of its peak."""

    @classmethod
    def from_hours(cls, departures: int, hours: Sequence[Hour], idle: Mapping[str, float], costs: Costs) -> "Day":
        requests = Counter[str]()
        for hour in hours:
            requests.update(hour.requests)
        total = requests.total()
        hits = sum(hour.kept * hour.requests[Kind.SEARCH] for hour in hours)
        return cls(
            departures=departures,
            hours=hours,
            per_visitor=total / sum(hour.visitors * hour.seconds for hour in hours),
            shares={kind: number / total for kind, number in requests.items()},
            kept=hits / max(requests[Kind.SEARCH], 1),
            idle=idle,
            costs=costs,
            average_of_peak=total / len(hours) / max(sum(hour.requests.values()) for hour in hours),
        )


def tables(day: Day) -> list[Table]:
    return [_hours(day), _costs(day)]


def _hours(day: Day) -> Table:
    parts = list(day.idle)
    columns = ("hour", "visitors", "requests/s", "searches/s", "kept", "changes/s", "p95 ms", "failed")
    rows = Table(*columns, *(f"{part}\ncores" for part in parts), title=_title(day))
    for hour in day.hours:
        searches_a_second = hour.requests.get(Kind.SEARCH, 0) / hour.seconds
        numbers = (f"{hour.per_second:,.1f}", f"{searches_a_second:,.1f}", f"{hour.kept:.0%}", f"{hour.changes:.2f}")
        cores = [f"{hour.cpu[part] / hour.seconds:.3f}" for part in parts]
        rows.add_row(
            f"{hour.hour}:00", f"{hour.visitors:,}", *numbers, f"{hour.p95[Kind.SEARCH]:.0f}", str(hour.failed), *cores
        )
    return rows


def _costs(day: Day) -> Table:
    rows = Table("request", "share", *day.idle, title="CPU milliseconds of a request, and cores without requests")
    for kind, cost in day.costs.items():
        share = day.shares.get(kind)
        rows.add_row(kind, "" if share is None else f"{share:.0%}", *(f"{cost[part]:.2f}" for part in day.idle))
    rows.add_row("idle, cores", "", *(f"{cores:.3f}" for cores in day.idle.values()))
    return rows


def _title(day: Day) -> str:
    return (
        f"A day on {day.departures:,} departures: {day.per_visitor:.2f} requests a second of a visitor,"
        f" {day.shares.get(Kind.SEARCH, 0):.0%} of them searches, of which {day.kept:.0%} were kept;"
        f" on average {day.average_of_peak:.0%} of the peak"
    )
