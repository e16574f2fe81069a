"""What a request costs, as docs/explanation/performance.md has measured it, and what is assumed where nothing was."""

from typing import NamedTuple


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
"""Of a core of the machine measured, an AMD EPYC."""
CACHED_API_MS = 0.093
CACHED_REDIS_MS = 0.017
REFERENCE_DATA_MS = 0.052
"""33,957 a second of one process without rate limits, which make 1.76 of it."""
EVENTS_MS = 0.092
"""19,285 requests a second of one process, and rate limits as above; storing them in Postgres is not measured."""

REQUESTS_PER_USER = 0.2
"""A second, as the platform's proposal has it: 1,000 users at a time are 200 requests a second."""
SEARCHES, REFERENCE_DATA, EVENTS = 0.25, 0.35, 0.40
"""Shares of the requests: assumed, since no day of the platform's has been replayed."""
AVERAGE_OF_PEAK = 0.3
"""Requests of a whole day as a share of those at the peak's rate: assumed."""

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
