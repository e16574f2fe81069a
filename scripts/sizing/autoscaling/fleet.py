"""Instances of the API under a load: what they answer, how long it takes, and how busy they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from core.configuration.roles import ROLES, Role
from scripts.sizing import figures
from scripts.sizing.plan import MS, Load, api_cores

QUEUE_LIMIT_MS = 30
"""Longest wait for an instance's core: load shedding rejects what would wait for longer."""
SEARCH_LIMIT_MS = 700
"""After which a search is answered from Postgres."""
PERCENTILE = 3
"""The 95th percentile of an exponential distribution, in means."""


@dataclass(frozen=True)
class Service:
    """The cost of a request where it is answered."""

    busy_ms: float
    """Of an instance's core, on average of all requests, while it is busy as planned or less."""
    saturated_ms: float
    """The same while it is saturated."""
    misses: float
    """Share of the requests that are searches which no cache answers."""
    index_capacity: float
    """Uncached searches a second that Elasticsearch ranks; no autoscaler adds nodes to it."""
    ranking_ms: float
    """95th percentile of an uncached search while Elasticsearch is half busy."""

    def busy(self, requests: float) -> float:
        """Return how many cores so many requests a second ask of an instance; above 1 it is overloaded.

        A request costs less in a process that is busier than planned, on a straight line until it is saturated.
        """
        needed = requests * self.busy_ms / MS
        if needed <= figures.BUSY:
            return needed
        if requests * self.saturated_ms >= MS:
            return requests * self.saturated_ms / MS
        saved = requests * (self.busy_ms - self.saturated_ms) / MS / (1 - figures.BUSY)
        return (needed + saved * figures.BUSY) / (1 + saved)


@dataclass(frozen=True)
class Second:
    """The outcome of one second of load."""

    requests: float
    ready: int
    starting: int
    refused: float
    """Requests that were rejected, or sent to an instance that is gone."""
    unranked: float
    """Uncached searches beyond what Elasticsearch can rank: answered from Postgres, marked as degraded, or rejected."""
    p95: float
    """Milliseconds: of the uncached searches, of waiting alone where there are none, 0 if nothing is answered."""
    busy: float
    """Cores, in each ready instance."""
    in_flight: float
    """Requests, in each ready instance."""


def role_service(load: Load, nodes: int, role: Role) -> Service:
    """Return the service of instances of one role, beside `nodes` nodes of Elasticsearch."""
    return _service(load, nodes, (role,))


def whole_service(load: Load, nodes: int) -> Service:
    """Return the service of instances that answer every kind of request."""
    return _service(load, nodes, ROLES)


def _service(load: Load, nodes: int, roles: Sequence[Role]) -> Service:
    requests = sum(load.requests_of(role) for role in roles)
    busy, saturated = (
        sum(map(cores.__getitem__, roles)) for cores in (api_cores(load), api_cores(load, is_saturated=True))
    )
    search_ms = load.slower_by * figures.uncached(load.departures).elasticsearch
    return Service(
        busy_ms=busy * MS / requests,
        saturated_ms=saturated * MS / requests,
        misses=load.rate(figures.UNCACHED_SEARCH) / requests if figures.UNCACHED_SEARCH.role in roles else 0.0,
        index_capacity=nodes * figures.CORES_OF_NODE * MS / search_ms,
        ranking_ms=figures.UNCACHED_P95_MS * load.slower_by,
    )


def serve(service: Service, requests: float, ready: int, starting: int = 0, gone: int = 0) -> Second:
    """Return the outcome of `requests` in one second; `gone` instances are still sent their share."""
    if not ready:
        return Second(requests, 0, starting, requests, 0.0, 0.0, 0.0, 0.0)
    sent = requests * ready / (ready + gone)
    load = service.busy(sent / ready)
    answered = sent * (1.0 if load <= 1 else figures.OVERLOADED / load)
    misses = answered * service.misses
    api_ms = min(load, 1.0) * MS * ready / answered if answered else 0.0
    wait, ranking = _wait_ms(api_ms, load), _ranking_ms(service, misses / service.index_capacity)
    each = api_ms + (wait + service.misses * ranking) / PERCENTILE
    return Second(
        requests=requests,
        ready=ready,
        starting=starting,
        refused=requests * gone / (ready + gone) + sent - answered,
        unranked=max(misses - service.index_capacity, 0.0),
        p95=wait + ranking,
        busy=min(load, 1.0),
        in_flight=answered / ready * each / MS,
    )


def _wait_ms(api_ms: float, load: float) -> float:
    """Return the 95th percentile of waiting for the core, as random arrivals make it and load shedding bounds it."""
    if load >= 1:
        return QUEUE_LIMIT_MS
    return min(api_ms / (1 - load) * log(max(load / 0.05, 1)), QUEUE_LIMIT_MS)


def _ranking_ms(service: Service, load: float) -> float:
    """Return the 95th percentile of an uncached search, which grows as Elasticsearch becomes busy."""
    if not service.misses:
        return 0.0
    return SEARCH_LIMIT_MS if load >= 1 else min(service.ranking_ms * 0.5 / (1 - load), SEARCH_LIMIT_MS)
