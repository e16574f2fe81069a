"""What requests took and brought, counted in plain numbers; Prometheus hears of it once a second and when it asks.

Its own counters cost a request more than everything else that all requests get.
"""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from app.observability.metrics import IN_FLIGHT, LATENCY, LATENCY_BUCKETS, REQUEST_BYTES, RESPONSE_BYTES
from core.tasks import background_task

TELL_SECONDS = 1.0

in_flight = 0
"""Requests that this process is answering."""


class RequestCounters:
    """Of the requests of one method to one route that had one status, since the last telling."""

    __slots__ = ("_buckets", "_latency", "_received", "_request_bytes", "_response_bytes", "_seconds", "_sent")

    def __init__(self, method: str, route: str, status: int) -> None:
        self._latency = LATENCY.labels(method, route, status)
        self._request_bytes, self._response_bytes = REQUEST_BYTES.labels(route), RESPONSE_BYTES.labels(route)
        self._clear()

    def add(self, seconds: float, received: int, sent: int) -> None:
        self._buckets[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self._seconds += seconds
        self._received += received
        self._sent += sent

    def flush(self) -> None:
        self._latency.observe_all(self._buckets, self._seconds)
        self._request_bytes.inc(self._received)
        self._response_bytes.inc(self._sent)
        self._clear()

    def _clear(self) -> None:
        self._buckets = [0] * (len(LATENCY_BUCKETS) + 1)
        self._seconds, self._received, self._sent = 0.0, 0, 0


_tallies: list[RequestCounters] = []


@cache
def tally(method: str, route: str, status: int) -> RequestCounters:
    """Of which there are few: methods and routes that nobody has are counted under one name."""
    counting = RequestCounters(method, route, status)
    _tallies.append(counting)
    return counting


def flush() -> None:
    IN_FLIGHT.set(in_flight)
    for counting in _tallies:
        counting.flush()


@asynccontextmanager
async def flushing() -> AsyncIterator[None]:
    """While the block lasts, and once more at its end."""
    try:
        async with background_task(_keep_telling()):
            yield
    finally:
        flush()


async def _keep_telling() -> None:
    while True:
        await asyncio.sleep(TELL_SECONDS)
        flush()
