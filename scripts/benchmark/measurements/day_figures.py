"""Figures of a day of traffic, for people and for `smarttrip size`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from scripts.benchmark.load.visit import Kind
from scripts.benchmark.measurements.request_costs import Costs


@dataclass(frozen=True)
class Traffic:
    """What so many visitors at a time requested, and what it took."""

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
    hours: Mapping[int, Traffic]
    """By the hour of the day."""
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
    def from_hours(
        cls, departures: int, hours: Mapping[int, Traffic], idle: Mapping[str, float], costs: Costs
    ) -> "Day":
        requests = Counter[str]()
        for traffic in hours.values():
            requests.update(traffic.requests)
        total = requests.total()
        hits = sum(traffic.kept * traffic.requests[Kind.SEARCH] for traffic in hours.values())
        return cls(
            departures=departures,
            hours=hours,
            per_visitor=total / sum(traffic.visitors * traffic.seconds for traffic in hours.values()),
            shares={kind: number / total for kind, number in requests.items()},
            kept=hits / max(requests[Kind.SEARCH], 1),
            idle=idle,
            costs=costs,
            average_of_peak=total / len(hours) / max(sum(traffic.requests.values()) for traffic in hours.values()),
        )


def tables(day: Day) -> list[Table]:
    return [_hours(day), _costs(day)]


def _hours(day: Day) -> Table:
    parts = list(day.idle)
    columns = ("hour", "visitors", "requests/s", "searches/s", "kept", "changes/s", "p95 ms", "failed")
    rows = Table(*columns, *(f"{part}\ncores" for part in parts), title=_title(day))
    for hour, traffic in day.hours.items():
        searches_a_second = traffic.requests.get(Kind.SEARCH, 0) / traffic.seconds
        numbers = (f"{traffic.per_second:,.1f}", f"{searches_a_second:,.1f}", f"{traffic.kept:.0%}")
        changes, p95 = f"{traffic.changes:.2f}", f"{traffic.p95[Kind.SEARCH]:.0f}"
        cores = [f"{traffic.cpu[part] / traffic.seconds:.3f}" for part in parts]
        rows.add_row(f"{hour}:00", f"{traffic.visitors:,}", *numbers, changes, p95, str(traffic.failed), *cores)
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
