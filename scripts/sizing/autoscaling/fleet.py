"""Instances of the API under a load: what they answer, how long it takes, and how busy they are."""

from dataclasses import dataclass
from math import log

from scripts.sizing import figures
from scripts.sizing.plan import MS, Load

QUEUE_LIMIT_MS = 30
"""Longest wait for an instance's core: load shedding rejects what would wait for longer."""
SEARCH_LIMIT_MS = 700
"""After which a search is answered from Postgres."""
PERCENTILE = 3
"""The 95th percentile of an exponential distribution, in means."""
SEARCHES, REFERENCE_DATA, EVENTS = 0.25, 0.35, 0.40
"""Shares of the requests: assumed, with more searches than a replayed day has, since they cost the most."""


@dataclass(frozen=True)
class Service:
    """The cost of a request where it is answered."""

    api_ms: float
    """Of an instance's core, on average of all requests."""
    misses: float
    """Share of the requests that are searches which no cache answers."""
    index_capacity: float
    """Uncached searches a second that Elasticsearch ranks; no autoscaler adds nodes to it."""
    ranking_ms: float
    """95th percentile of an uncached search while Elasticsearch is half busy."""


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
    """Milliseconds, of the uncached searches; 0 if nothing is answered."""
    busy: float
    """Cores, in each ready instance."""
    in_flight: float
    """Requests, in each ready instance."""


def search_service(load: Load, nodes: int) -> Service:
    """Return the service of instances that answer searches alone, beside `nodes` nodes of Elasticsearch."""
    return _service(load, nodes, _search_ms(load), 1 - load.hit_rate)


def whole_service(load: Load, nodes: int) -> Service:
    """Return the service of instances that answer every kind of request."""
    others = REFERENCE_DATA * figures.REFERENCE_DATA_MS + EVENTS * figures.EVENTS_MS
    return _service(load, nodes, SEARCHES * _search_ms(load) + others, SEARCHES * (1 - load.hit_rate))


def _search_ms(load: Load) -> float:
    """Return what a search costs a saturated process on the measured machine."""
    return load.hit_rate * figures.CACHED_API_MS + (1 - load.hit_rate) * figures.uncached(load.departures).api


def _service(load: Load, nodes: int, api_ms: float, misses: float) -> Service:
    search_ms = load.slower_by * figures.uncached(load.departures).elasticsearch
    return Service(
        api_ms=api_ms * load.slower_by,
        misses=misses,
        index_capacity=nodes * figures.CORES_OF_NODE * MS / search_ms,
        ranking_ms=figures.UNCACHED_P95_MS * load.slower_by,
    )


def serve(service: Service, requests: float, ready: int, starting: int = 0, gone: int = 0) -> Second:
    """Return the outcome of `requests` in one second; `gone` instances are still sent their share."""
    if not ready:
        return Second(requests, 0, starting, requests, 0.0, 0.0, 0.0, 0.0)
    sent = requests * ready / (ready + gone)
    load = sent * service.api_ms / MS / ready
    answered = sent * (1.0 if load <= 1 else figures.OVERLOADED / load)
    misses = answered * service.misses
    wait, ranking = _wait_ms(service, load), _ranking_ms(service, misses / service.index_capacity)
    each = service.api_ms + (wait + service.misses * ranking) / PERCENTILE
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


def _wait_ms(service: Service, load: float) -> float:
    """Return the 95th percentile of waiting for the core, as random arrivals make it and load shedding bounds it."""
    if load >= 1:
        return QUEUE_LIMIT_MS
    return min(service.api_ms / (1 - load) * log(max(load / 0.05, 1)), QUEUE_LIMIT_MS)


def _ranking_ms(service: Service, load: float) -> float:
    """Return the 95th percentile of an uncached search, which grows as Elasticsearch becomes busy."""
    return SEARCH_LIMIT_MS if load >= 1 else min(service.ranking_ms * 0.5 / (1 - load), SEARCH_LIMIT_MS)
