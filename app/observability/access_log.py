"""The access log: a line for each request, of which a sample is written above a rate. It has no personal data."""

from math import ceil
from time import perf_counter

import structlog
from msgspec import Struct
from prometheus_client import Counter

from core.metrics.labels import with_values
from core.request_record import RequestRecord

log = structlog.get_logger()

OMITTED = with_values(
    Counter("smarttrip_access_lines_omitted_total", "Requests without a line in the access log, by reason", ["reason"]),
    ("sampled", "limited"),
)
SAMPLED, LIMITED = OMITTED.labels("sampled"), OMITTED.labels("limited")

MAX_ALWAYS_PER_SECOND = 200
"""Lines of failed and slow requests in a second: an outage must not fill the disk."""

WINDOW_SECONDS = 1.0


class FinishedRequest(Struct):
    method: str
    route: str
    status: int
    seconds: float
    sent_bytes: int
    client: str
    """Kind of client: admin, user or guest."""
    record: RequestRecord


class AccessLog:
    def __init__(self, rate: int = 20, slow_seconds: float = 0.5) -> None:
        """Write about `rate` lines a second; besides, every request that fails or takes `slow_seconds`."""
        self._rate = rate
        self._slow_seconds = slow_seconds
        self._window_ends = 0.0
        self._stride = 1
        """One of so many requests is written, chosen from the number of requests in the last second."""
        self._seen = self._written = self._always = 0
        """In this second: requests that are sampled, those of them that were written, and failed or slow ones."""

    def is_due(self, status: int, seconds: float, now: float) -> bool:
        """Return whether to log a request that ended at `now`, in seconds of `perf_counter`."""
        if now >= self._window_ends:
            self._start_window(now)
        if status >= 500 or seconds >= self._slow_seconds:
            self._always += 1
            return self._always <= MAX_ALWAYS_PER_SECOND
        self._seen += 1
        if self._seen % self._stride or self._written >= self._rate:
            return False
        self._written += 1
        return True

    def write(self, request: FinishedRequest) -> None:
        is_slow = request.seconds >= self._slow_seconds
        fields: dict[str, object] = {
            "method": request.method,
            "route": request.route,
            "status": request.status,
            "ms": _milliseconds(request.seconds),
            "cache": request.record.cache,
            "bytes": request.sent_bytes,
            "client": request.client,
        }
        if request.record.variant is not None:
            fields["variant"] = request.record.variant
        if is_slow:
            fields["stages"] = {name: _milliseconds(spent) for name, spent in request.record.stages.items()}
        elif request.status < 500 and self._stride > 1:
            fields["one_of"] = self._stride
        log.info("request", **fields)

    def _start_window(self, now: float) -> None:
        SAMPLED.inc(self._seen - self._written)
        LIMITED.inc(max(0, self._always - MAX_ALWAYS_PER_SECOND))
        elapsed = max(WINDOW_SECONDS, now - self._window_ends + WINDOW_SECONDS)
        self._stride = max(1, ceil(self._seen / elapsed / self._rate)) if self._rate else 1
        self._seen = self._written = self._always = 0
        self._window_ends = now + WINDOW_SECONDS


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)


def server_timing(record: RequestRecord, started_at: float) -> bytes:
    """Return the value of the header Server-Timing for a request that started then (of `perf_counter`)."""
    entries = [f"total;dur={_milliseconds(perf_counter() - started_at)}"]
    if record.cache is not None:
        entries.append(f'cache;desc="{record.cache}"')
    entries += (f"{name};dur={_milliseconds(seconds)}" for name, seconds in record.stages.items())
    return ", ".join(entries).encode()
