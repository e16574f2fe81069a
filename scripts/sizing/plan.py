"""The plan for a number of users and departures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from scripts.sizing import figures
from scripts.sizing.prices import PRICES

MS = 1000
SECONDS_OF_MONTH = 30 * 86_400
MIB = 1024 * 1024


@dataclass(frozen=True)
class Load:
    """What the installation has to serve at its peak."""

    users: int
    departures: int
    hit_rate: float
    """Share of the searches whose response is cached."""
    slower_by: float
    """How many of its cores do what one measured core does."""

    @property
    def requests(self) -> float:
        """A second."""
        return self.users * figures.REQUESTS_PER_USER

    @property
    def searches(self) -> float:
        """A second."""
        return self.requests * figures.SEARCHES


@dataclass(frozen=True)
class Part:
    """Instances of one part of the system, and the cores that they need together at the peak."""

    name: str
    cores: float
    instances: int
    memory_mib: int
    """Of each instance."""
    disk_gib: int
    """Of each instance."""
    dollars: float
    """Of all instances, a month."""


@dataclass(frozen=True)
class Plan:
    load: Load
    requests_per_second: float
    searches_per_second: float
    parts: Sequence[Part]
    dollars_per_month: float
    dollars_per_million_searches: float


def make_plan(load: Load, prices: Mapping[str, float] = PRICES) -> Plan:
    """Return the plan.

    What one instance serves alone gets two of it for all roles, a worker and a node of Elasticsearch, which Postgres
    stands in for. Otherwise each role and each server but Redis and Postgres stands the loss of an instance.
    """
    cores = api_cores(load)
    is_small = sum(cores.values()) <= figures.BUSY
    if is_small:
        cores = {"api": sum(cores.values())}
    parts = [_api_part(role, needed, prices) for role, needed in cores.items()]
    parts += [_worker(is_small, prices), _elasticsearch(load, is_small, prices), _redis(load, prices)]
    parts += [Part(name, 0, 1, 0, 0, prices[name]) for name in ("postgres", "monitoring")]
    dollars = sum(part.dollars for part in parts)
    searches_of_month = load.searches * figures.AVERAGE_OF_PEAK * SECONDS_OF_MONTH
    return Plan(
        load=load,
        requests_per_second=round(load.requests, 1),
        searches_per_second=round(load.searches, 1),
        parts=parts,
        dollars_per_month=round(dollars, 2),
        dollars_per_million_searches=round(dollars / searches_of_month * 1_000_000, 2),
    )


def api_cores(load: Load) -> dict[str, float]:
    """Return the cores that each role needs at the peak."""
    miss = 1 - load.hit_rate
    search = load.hit_rate * figures.CACHED_API_MS + miss * figures.uncached(load.departures).api
    milliseconds = {
        "recommendations": load.searches * search,
        "resources": load.requests * figures.REFERENCE_DATA * figures.REFERENCE_DATA_MS,
        "events": load.requests * figures.EVENTS * figures.EVENTS_MS,
        "admin": 0.0,
    }
    return {role: total / MS * load.slower_by for role, total in milliseconds.items()}


def _api_part(role: str, cores: float, prices: Mapping[str, float]) -> Part:
    instances = ceil(cores / figures.BUSY) + (role != "admin") or 1
    return Part(role, round(cores, 3), instances, figures.API_MIB, 0, instances * prices["instance"])


def _worker(is_small: bool, prices: Mapping[str, float]) -> Part:
    instances = 1 if is_small else 2
    return Part("worker", 0, instances, figures.WORKER_MIB, 0, instances * prices["instance"])


def _elasticsearch(load: Load, is_small: bool, prices: Mapping[str, float]) -> Part:
    misses = load.searches * (1 - load.hit_rate)
    cores = misses * figures.uncached(load.departures).elasticsearch / MS * load.slower_by
    nodes = max(ceil(cores / figures.BUSY / figures.CORES_OF_NODE), 1) + (not is_small)
    disk = ceil(load.departures * figures.INDEX_BYTES * figures.INDEXES / MIB / 1024)
    return Part("elasticsearch", round(cores, 3), nodes, figures.NODE_MIB, disk, nodes * prices["elasticsearch"])


def _redis(load: Load, prices: Mapping[str, float]) -> Part:
    cores = load.searches * figures.CACHED_REDIS_MS / MS * load.slower_by
    return Part("redis", round(cores, 3), 1, figures.REDIS_MIB, 1, prices["redis"])
