"""Metrics of the pools of connections to Postgres: of the primary's, and of each replica's."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from prometheus_client import Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from core.metrics.labels import with_values

SIZE = Gauge("smarttrip_postgres_pool_size", "Connections that a pool may have", ["pool"], multiprocess_mode="livesum")
IN_USE = Gauge("smarttrip_postgres_pool_in_use", "Connections that are used", ["pool"], multiprocess_mode="livesum")
WAITING = Gauge(
    "smarttrip_postgres_pool_waiting", "Callers without a connection", ["pool"], multiprocess_mode="livesum"
)
WAIT = Histogram(
    "smarttrip_postgres_pool_wait_seconds",
    "Time until a caller gets a connection, or gives up; connecting included",
    ["pool"],
    buckets=(0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 10),
)
METRICS: tuple[MetricWrapperBase, ...] = (SIZE, IN_USE, WAITING, WAIT)

_pools: dict[str, "MeteredPool"] = {}


class MeteredPool(AsyncAdaptedQueuePool):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waiting = 0
        self.wait_histogram: Histogram | None = None

    def _do_get(self) -> ConnectionPoolEntry:
        """Return a connection; this is where callers wait."""
        started_at = perf_counter()
        self.waiting += 1
        try:
            return super()._do_get()
        finally:
            self.waiting -= 1
            if self.wait_histogram is not None:
                self.wait_histogram.observe(perf_counter() - started_at)


statements_are_repeated: ContextVar[bool] = ContextVar("statements_are_repeated", default=False)
"""Whether a statement is repeated on another connection if its own turns out to be broken: it tests the connection."""


@contextmanager
def repeating_statements() -> Iterator[None]:
    """Do without tests of connections in the block, whose statements are repeated if a connection is broken."""
    token = statements_are_repeated.set(True)
    try:
        yield
    finally:
        statements_are_repeated.reset(token)


def ping_by_one_query(engine: AsyncEngine) -> None:
    """Have the pool's test before use take one round trip, not those of a transaction with a query.

    It takes none where the server has ended the connection and we know, or where `statements_are_repeated`.
    """

    def ping(dbapi_connection: Any) -> bool:
        # Of one that has ended, the pool drops all connections that are as old.
        if dbapi_connection.driver_connection.is_closed():
            return False
        if statements_are_repeated.get():
            return True
        try:
            dbapi_connection.run_async(lambda connection: connection.execute("SELECT 1"))
        except Exception as error:  # noqa: BLE001  # as the dialect's own test
            # Raises the error as SQLAlchemy's own.
            dbapi_connection._handle_exception(error)
        return True

    engine.dialect.do_ping = ping  # type: ignore[method-assign]


def meter_pool(engine: AsyncEngine, name: str) -> None:
    """Have the metrics of the engine's pool, under this name, from now on."""
    pool = engine.sync_engine.pool
    assert isinstance(pool, MeteredPool)
    for metric in METRICS:
        with_values(metric, [name])
    pool.wait_histogram = WAIT.labels(name)
    _pools[name] = pool


def report_pools() -> None:
    """Update the gauges of all pools."""
    for name, pool in _pools.items():
        SIZE.labels(name).set(pool.size())
        IN_USE.labels(name).set(pool.checkedout())
        WAITING.labels(name).set(pool.waiting)
