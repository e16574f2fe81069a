"""What a request costs, as docs/explanation/performance.md has measured it, and what is assumed where nothing was."""

from typing import NamedTuple

from core.configuration.roles import Role


class SearchCost(NamedTuple):
    """Milliseconds of a core that a search takes if its response is not cached."""

    departures: int
    api: float
    elasticsearch: float


UNCACHED = (
    SearchCost(1_000, 0.61, 1.2),
    SearchCost(10_000, 0.64, 1.7),
    SearchCost(100_000, 0.78, 3.9),
    SearchCost(1_000_000, 0.84, 29),
)
"""Of a core of the machine measured, an AMD EPYC; the API's while its process is saturated."""


class RequestCost(NamedTuple):
    """Milliseconds of a core that a request takes of each part while an instance has 50 of its kind a second."""

    api: float
    worker: float = 0
    postgres: float = 0
    redis: float = 0


class RequestKind(NamedTuple):
    """A kind of request: the role that answers it, its share of a replayed day's requests, and what one costs."""

    name: str
    role: Role
    share: float
    cost: RequestCost
    saturated_api_ms: float | None = None
    """Of a core of the API while its process is saturated, as docs/explanation/performance.md has measured it."""


SEARCHES = 0.10
"""Share of a replayed day's requests."""
CACHED_SEARCH = RequestKind("cached search", "recommendations", SEARCHES, RequestCost(1.03, 0, 0.14, 0.28), 0.093)
UNCACHED_SEARCH = RequestKind("uncached search", "recommendations", SEARCHES, RequestCost(3.89, 0, 0.05, 1.33))
REPLAYED_DEPARTURES = 100_000
KINDS = (
    CACHED_SEARCH,
    UNCACHED_SEARCH,
    # 33,957 a second of one process without rate limits, which make 1.76 of it.
    RequestKind("reference data", "resources", 0.14, RequestCost(0.93, 0, 0, 0.27), 0.052),
    RequestKind("trip page that is not cached", "resources", 0.09, RequestCost(4.30, 0, 2.55, 0.50)),
    # 19,285 a second of one process, and rate limits as above.
    RequestKind("batch of events, four on average", "events", 0.62, RequestCost(1.35, 0.04, 0.33, 0.51), 0.092),
    RequestKind("start of a session", "events", 0.05, RequestCost(5.41, 0, 1.65, 0.27)),
)
"""From a day replayed with REPLAYED_DEPARTURES: docs/explanation/scaling.md."""
IDLE = RequestCost(0.008, 0.090, 0.028, 0.003)
"""Cores, not milliseconds, of each part without requests."""
PART_OF_COST = RequestCost(0.40, 1.0, 0.87, 0.35)
"""Of these costs that is left where an instance is 60 % busy, and requests share wake-ups and round trips."""
HIT_RATE = 0.78
"""Share of a replayed day's searches that a cache answers."""

REQUESTS_PER_USER = 0.2
"""A second, as the platform's proposal has it: 1,000 users at a time are 200 requests a second."""

BUSY = 0.6
"""Of a core at the peak: beyond it waiting grows faster than load, and autoscalers start at 0.7."""
CORES_OF_NODE, NODE_MIB = 4, 2048
"""Of a node of Elasticsearch, which has a heap of half of it."""
API_MIB, WORKER_MIB = 150, 120
INDEX_BYTES = 2_200
"""Of a departure in the index while it is merged; 1,200 afterwards."""
INDEXES = 3
"""The live, the previous and one that is built."""
REDIS_MIB = 320
"""TRACKING_LIMIT waiting events of a KiB and a fourth more of request logs, and as much for cached responses."""


def uncached(departures: int) -> SearchCost:
    """Return the cost: on a straight line between two measured sizes, in proportion beyond the largest."""
    if departures <= UNCACHED[0].departures:
        return UNCACHED[0]._replace(departures=departures)
    last = UNCACHED[-1]
    if departures > last.departures:
        return SearchCost(departures, last.api, last.elasticsearch * departures / last.departures)
    above = next(cost for cost in UNCACHED if cost.departures >= departures)
    below = UNCACHED[UNCACHED.index(above) - 1]
    part = (departures - below.departures) / (above.departures - below.departures)
    return SearchCost(
        departures,
        below.api + part * (above.api - below.api),
        below.elasticsearch + part * (above.elasticsearch - below.elasticsearch),
    )


UNCACHED_P95_MS = 19
"""Of an uncached search at half of the highest rate, on the measured machine."""
OVERLOADED = 0.78
"""Part of its capacity that a process answers while it rejects the rest: 412 of 496, and 272 of 368 a second."""
POD_START_SECONDS = 10
"""Below 2 s of start-up, up to 3 s until the next probe, and 5 s to place the pod and start its container, on a node
that has the image and room for it: assumed."""
RENDER_START_SECONDS = 60
"""Of a new instance: assumed."""
NODE_NOTICED_SECONDS = 40
"""Until Kubernetes takes a node that is gone for not ready, and sends its pods nothing (node-monitor-grace-period)."""
EVICTION_SECONDS = 300
"""Until the pods of such a node are replaced elsewhere (the default toleration of `not-ready`)."""
