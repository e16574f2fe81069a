"""The plan for a number of users and departures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from core.configuration.roles import ROLES, Role
from scripts.sizing import figures
from scripts.sizing.day_curve import AVERAGE_OF_PEAK
from scripts.sizing.figures import RequestKind
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

    def rate(self, kind: RequestKind) -> float:
        """Return how many requests of a kind there are in a second."""
        searches = {figures.CACHED_SEARCH: self.hit_rate, figures.UNCACHED_SEARCH: 1 - self.hit_rate}
        return self.requests * kind.share * searches.get(kind, 1.0)

    def requests_of(self, role: Role) -> float:
        """Return how many requests the instances of a role have in a second."""
        return sum(self.rate(kind) for kind in figures.KINDS if kind.role == role)


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
    parts += [
        _worker(load, is_small, prices),
        _elasticsearch(load, is_small, prices),
        Part("redis", _cores(load, "redis"), 1, figures.REDIS_MIB, 1, prices["redis"]),
        Part("postgres", _cores(load, "postgres"), 1, 0, 0, prices["postgres"]),
        Part("monitoring", 0, 1, 0, 0, prices["monitoring"]),
    ]
    dollars = sum(part.dollars for part in parts)
    searches_of_month = load.searches * AVERAGE_OF_PEAK * SECONDS_OF_MONTH
    return Plan(
        load=load,
        requests_per_second=round(load.requests, 1),
        searches_per_second=round(load.searches, 1),
        parts=parts,
        dollars_per_month=round(dollars, 2),
        dollars_per_million_searches=round(dollars / searches_of_month * 1_000_000, 2),
    )


def api_cores(load: Load, *, is_saturated: bool = False) -> dict[str, float]:
    """Return the cores that each role needs at the peak; instances that are saturated need less than those planned."""
    cores: dict[str, float] = dict.fromkeys(ROLES, 0.0)
    for kind in figures.KINDS:
        needed = _saturated_cores(load, kind) if is_saturated else _busy_cores(load, kind, "api")
        cores[kind.role] += needed * load.slower_by
    return cores


def _busy_cores(load: Load, kind: RequestKind, part: str) -> float:
    """Return the cores of the measured machine that the requests of a kind take of a part."""
    milliseconds: float = getattr(kind.cost, part) * getattr(figures.PART_OF_COST, part)
    if (kind, part) == (figures.UNCACHED_SEARCH, "api"):
        milliseconds *= figures.uncached(load.departures).api / figures.uncached(figures.REPLAYED_DEPARTURES).api
    return load.rate(kind) * milliseconds / MS


def _saturated_cores(load: Load, kind: RequestKind) -> float:
    """Return the same of the API while its processes are saturated, or busy where that was not measured."""
    if kind == figures.UNCACHED_SEARCH:
        return load.rate(kind) * figures.uncached(load.departures).api / MS
    if kind.saturated_api_ms is None:
        return _busy_cores(load, kind, "api")
    return load.rate(kind) * kind.saturated_api_ms / MS


def _api_part(role: str, cores: float, prices: Mapping[str, float]) -> Part:
    instances = ceil(cores / figures.BUSY) + (role != "admin") or 1
    return Part(role, round(cores, 3), instances, figures.API_MIB, 0, instances * prices["instance"])


def _worker(load: Load, is_small: bool, prices: Mapping[str, float]) -> Part:
    cores = _cores(load, "worker")
    instances = max(ceil(cores / figures.BUSY), 1 if is_small else 2)
    return Part("worker", cores, instances, figures.WORKER_MIB, 0, instances * prices["instance"])


def _elasticsearch(load: Load, is_small: bool, prices: Mapping[str, float]) -> Part:
    misses = load.searches * (1 - load.hit_rate)
    cores = misses * figures.uncached(load.departures).elasticsearch / MS * load.slower_by
    nodes = max(ceil(cores / figures.BUSY / figures.CORES_OF_NODE), 1) + (not is_small)
    disk = ceil(load.departures * figures.INDEX_BYTES * figures.INDEXES / MIB / 1024)
    return Part("elasticsearch", round(cores, 3), nodes, figures.NODE_MIB, disk, nodes * prices["elasticsearch"])


def _cores(load: Load, part: str) -> float:
    """Return the cores that a part needs at the peak."""
    idle: float = getattr(figures.IDLE, part)
    return round((idle + sum(_busy_cores(load, kind, part) for kind in figures.KINDS)) * load.slower_by, 3)
