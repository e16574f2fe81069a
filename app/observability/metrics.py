"""The Prometheus registry, and the metrics of HTTP requests. Other metrics are defined where they are recorded."""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import (
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from app.observability import shared_metrics
from core.configuration.roles import ROLES
from core.metrics.labels import with_values

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10)


NO_EXEMPLARS: Mapping[int, Exemplar] = {}


class BatchHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def observe_all(
        self, buckets: Sequence[int], total: float, exemplars: Mapping[int, Exemplar] = NO_EXEMPLARS
    ) -> None:
        """Add observations: `buckets` has their number per bucket, the unbounded one last, and `total` is their sum.

        `exemplars` are observations by bucket that are examples of it. They are lost if several processes share their
        metrics: the client library does not support both.
        """
        for bucket, count in zip(self._buckets, buckets, strict=True):
            if count:
                bucket.inc(count)
        for number, exemplar in exemplars.items():
            self._buckets[number].set_exemplar(exemplar)
        self._sum.inc(total)


LATENCY = BatchHistogram(
    "smarttrip_http_request_seconds", "Time until the last byte", ["method", "route", "status"], buckets=LATENCY_BUCKETS
)
REQUEST_BYTES = Counter("smarttrip_http_request_bytes_total", "Bodies received", ["route"])
RESPONSE_BYTES = Counter("smarttrip_http_response_bytes_total", "Bodies sent", ["route"])
IN_FLIGHT = Gauge("smarttrip_http_requests_in_flight", "Requests being answered", multiprocess_mode="livesum")

ROLE = with_values(
    Gauge("smarttrip_role", "1 for each role that the process serves", ["role"], multiprocess_mode="livemax"),
    ROLES,
)


Encoder = Callable[[Collector], bytes]
"""Renders metrics in one of the text formats."""


def render_metrics(encode: Encoder = generate_latest) -> bytes:
    """Return all metrics as text: of this process, or of all worker processes if their files are there."""
    if shared_metrics.is_shared():
        try:
            with shared_metrics.reading():
                return encode(shared_metrics.shared_registry())
        except OSError as error:
            shared_metrics.log_unreadable(error)
    return encode(REGISTRY)
