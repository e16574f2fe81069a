"""Time of calls to Postgres, Redis and Elasticsearch: as metrics, and as stages of the request that waits for them."""

from collections.abc import Mapping
from time import perf_counter
from types import TracebackType

from prometheus_client import Histogram

from core.metric_labels import OTHER, with_series
from core.request_record import record_var

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


def observe_call(dependency: str, operation: str, seconds: float) -> None:
    """Record the duration of a call, also in the record of the current request."""
    count_call(dependency, operation, seconds)
    record = record_var.get()
    if record is not None:
        record.add(dependency, seconds)


def count_call(dependency: str, operation: str, seconds: float) -> None:
    """Record the duration of a call that several requests wait for."""
    known = operation if operation in OPERATIONS[dependency] else OTHER
    _histograms[dependency, known].observe(seconds)


class Call:
    """A block that makes one call to a server."""

    __slots__ = ("_dependency", "_operation", "_started_at")

    def __init__(self, dependency: str, operation: str) -> None:
        self._dependency = dependency
        self._operation = operation

    def __enter__(self) -> None:
        self._started_at = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        observe_call(self._dependency, self._operation, perf_counter() - self._started_at)
