"""What happened between two scrapes, as plain values."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from scripts.top.scrape import Scrape

REQUESTS = "smarttrip_http_request_seconds"
LAG = "smarttrip_index_lag_seconds"
BREAKER_STATES = ("closed", "half_open", "open")
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Interval:
    before: Scrape
    now: Scrape

    @property
    def seconds(self) -> float:
        return self.now.at - self.before.at

    def rate(self, name: str, **labels: str) -> float:
        """Return the increase per second of counters; one that began anew counts from 0.

        A process that was not read before counts from the next reading on: its counters began before this interval.
        """
        return sum(self._increases(name, **labels)) / self.seconds

    def _increases(self, name: str, **labels: str) -> Iterator[float]:
        for address, found, now in self.now.series(name, **labels):
            if address in self.before.processes:
                before = self.before.processes[address].get(name, {}).get(found, 0.0)
                yield now - before if now >= before else now

    def rates(self, name: str, label: str) -> dict[str, float]:
        return {value: self.rate(name, **{label: value}) for value in self.now.labels(name, label)}

    def percentiles(self, histogram: str, **labels: str) -> dict[str, float | None]:
        """Return the bound, in seconds, of the bucket that each percentile lies in; None without observations."""
        bounds = sorted(self.now.labels(f"{histogram}_bucket", "le"), key=float)
        rates = [self.rate(f"{histogram}_bucket", le=bound, **labels) for bound in bounds]
        return {name: _percentile(bounds, rates, share) for name, share in PERCENTILES.items()}


def _percentile(bounds: Sequence[str], rates: Sequence[float], share: float) -> float | None:
    """`rates` are cumulative, as the buckets of Prometheus are. Beyond the last bound it is unknown."""
    if not rates or not rates[-1]:
        return None
    reached = next(float(bound) for bound, rate in zip(bounds, rates, strict=True) if rate >= share * rates[-1])
    return None if reached == inf else reached


def summarise(interval: Interval) -> dict[str, Any]:
    """Return the state of the installation; rates are per second, times in seconds, None is unknown."""
    parts: dict[str, Callable[[Interval], Any]] = {
        "requests": _requests,
        "api": _api,
        "cache_lookups": lambda interval: interval.rates("smarttrip_cache_lookups_total", label="source"),
        "breakers": _breakers,
        "index": _index,
        "events": _events,
        "processes": _processes,
    }
    summary = {name: part(interval) for name, part in parts.items()}
    return {"seconds": interval.seconds, "failures": dict(interval.now.failures), **summary}


def _requests(interval: Interval) -> dict[str, Any]:
    """Return the routes that were called, busiest first."""
    rates = interval.rates(f"{REQUESTS}_count", "route")
    routes = sorted((route for route, rate in rates.items() if rate), key=rates.__getitem__, reverse=True)
    return {
        route: {
            "rate": rates[route],
            "failures": _failures(interval, route),
            **interval.percentiles(REQUESTS, route=route),
        }
        for route in routes
    }


def _failures(interval: Interval, route: str) -> float:
    statuses = interval.now.labels(f"{REQUESTS}_count", "status")
    failed = (status for status in statuses if status.startswith("5"))
    return sum(interval.rate(f"{REQUESTS}_count", route=route, status=status) for status in failed)


def _api(interval: Interval) -> dict[str, Any]:
    return {
        "in_flight": interval.now.total("smarttrip_http_requests_in_flight"),
        "shed": interval.rate("smarttrip_http_requests_shed_total"),
        "rate_limited": interval.rate("smarttrip_rate_limit_refusals_total"),
        "replicas": interval.now.highest("smarttrip_replicas_usable"),
    }


def _breakers(interval: Interval) -> dict[str, str]:
    name = "smarttrip_breaker_state"
    states = {value: interval.now.highest(name, dependency=value) for value in interval.now.labels(name, "dependency")}
    return {dependency: BREAKER_STATES[int(state or 0)] for dependency, state in states.items()}


def _index(interval: Interval) -> dict[str, Any]:
    now = interval.now
    return {
        "lag": interval.percentiles(LAG),
        "changes": interval.rate(f"{LAG}_count"),
        "outbox_rows": now.highest("smarttrip_outbox_rows"),
        "outbox_oldest": now.highest("smarttrip_outbox_oldest_seconds"),
        "dead_letters": now.highest("smarttrip_outbox_dead_rows"),
        "drift": now.highest("smarttrip_index_drifted_departures"),
        "reindex_done": now.highest("smarttrip_reindex_documents_done"),
        "reindex_expected": now.highest("smarttrip_reindex_documents_expected"),
    }


def _events(interval: Interval) -> dict[str, Any]:
    return {
        "waiting": interval.now.highest("smarttrip_tracking_stream_entries"),
        "stored": interval.rate("smarttrip_tracking_stored_total"),
        "refused": interval.rate("smarttrip_tracking_refused_total"),
        "dead_lettered": interval.now.total("smarttrip_tracking_set_aside_total"),
    }


def _processes(interval: Interval) -> dict[str, float]:
    """Return processor time, in cores, memory in bytes and open files, of all processes together."""
    return {
        "cores": interval.rate("process_cpu_seconds_total"),
        "memory": interval.now.total("process_resident_memory_bytes"),
        "open_files": interval.now.total("process_open_fds"),
    }
