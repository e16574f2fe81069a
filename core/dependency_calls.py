"""Time of calls to Postgres, Redis and Elasticsearch: as metrics, and as stages of the request that waits for them."""

from collections.abc import Mapping
from time import perf_counter
from types import TracebackType

from prometheus_client import Histogram

from core.metrics.labels import OTHER, with_series
from core.request_record import record_var
from core.tracing import spans
from core.tracing.spans import NO_SPAN, Attributes, Span

OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "postgres": ("select", "insert", "update", "delete", OTHER),
    "redis": ("get", "set", "del", "publish", "xadd", "xdel", "xlen", "script", "pipeline", OTHER),
    "elasticsearch": ("_search", "_count", "_bulk", "_mget", "_refresh", "_doc", OTHER),
}
"""Operations that are told apart, by dependency: the first word of a statement or command, the API of a request."""

SECONDS = with_series(
    Histogram(
        "smarttrip_dependency_seconds",
        "Duration of calls to a server, those that fail included",
        ["dependency", "operation"],
        buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    ),
    ((dependency, operation) for dependency, operations in OPERATIONS.items() for operation in operations),
)
_histograms = {
    (dependency, operation): SECONDS.labels(dependency, operation)
    for dependency, operations in OPERATIONS.items()
    for operation in operations
}


SYSTEMS = {"postgres": "postgresql"}
"""Names of databases in traces, where they differ."""


def span_name(dependency: str, operation: str) -> str:
    return f"{dependency} {operation.lstrip('_')}"


def span_attributes(dependency: str, operation: str) -> Attributes:
    """Return what a span tells of a call: never a statement, a key or a body."""
    return {"db.system.name": SYSTEMS.get(dependency, dependency), "db.operation.name": operation.lstrip("_")}


def record_call(dependency: str, operation: str, seconds: float, error: BaseException | None = None) -> None:
    """Record a call that has ended: its duration, also for the current request, and its span."""
    _observe(dependency, operation, seconds)
    if spans.is_recorded():
        name, attributes = span_name(dependency, operation), span_attributes(dependency, operation)
        spans.record(name, seconds, attributes, "client", error)


def _observe(dependency: str, operation: str, seconds: float) -> None:
    count_call(dependency, operation, seconds)
    _add_to_request(dependency, seconds)


def _add_to_request(dependency: str, seconds: float) -> None:
    record = record_var.get()
    if record is not None:
        record.add(dependency, seconds)


def count_call(dependency: str, operation: str, seconds: float) -> None:
    """Record the duration of a call that several requests wait for."""
    known = operation if operation in OPERATIONS[dependency] else OTHER
    _histograms[dependency, known].observe(seconds)


class Call:
    """A block that makes one call to a server, with a span of its own."""

    __slots__ = ("_dependency", "_operation", "_span", "_started_at")

    def __init__(self, dependency: str, operation: str) -> None:
        self._dependency = dependency
        self._operation = operation

    def __enter__(self) -> Span:
        self._started_at = perf_counter()
        self._span = self._begin_span() if spans.is_recorded() else NO_SPAN
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._measure(perf_counter() - self._started_at)
        if self._span is not NO_SPAN:
            self._span.__exit__(kind, error, trace)

    def _begin_span(self) -> Span:
        name = span_name(self._dependency, self._operation)
        return spans.span(name, span_attributes(self._dependency, self._operation), "client").__enter__()

    def _measure(self, seconds: float) -> None:
        _observe(self._dependency, self._operation, seconds)


class SharedCall(Call):
    """A block that waits for a call that others may share: whoever makes that counts it, with `count_call`."""

    __slots__ = ()

    def _measure(self, seconds: float) -> None:
        _add_to_request(self._dependency, seconds)
