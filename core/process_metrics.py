"""Metrics that every process has: its build, the lag of its event loop, and the pauses of its garbage collector."""

import asyncio
import gc
from collections import deque
from importlib.metadata import version
from time import perf_counter
from typing import Any, NoReturn

from prometheus_client import Counter, Gauge, Histogram

from core.logs.writer import report_dropped_lines
from core.metrics.buffered_counter import report_counters
from core.metrics.labels import with_values
from core.postgres.pool import report_pools
from schemas.index_document import DOCUMENT_VERSION

BUILD = with_values(
    Gauge("smarttrip_build_info", "1: what runs here", ["version", "document_version"], multiprocess_mode="livemax"),
    [version("smarttrip")],
    [DOCUMENT_VERSION],
)
BUILD.labels(version("smarttrip"), DOCUMENT_VERSION).set(1)

LOOP_LAG = Histogram(
    "smarttrip_event_loop_lag_seconds",
    "How late the event loop runs what is due, measured four times a second",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
LAG_PERIOD_SECONDS = 0.25
LONGEST_LAG_SECONDS = 60.0

LONGEST_LAG = Gauge(
    "smarttrip_process_event_loop_lag_seconds",
    "How late the event loop ran at most in the last minute, by process",
    multiprocess_mode="liveall",
)
PROCESS_PAUSES = Gauge(
    "smarttrip_process_gc_pause_seconds",
    "Time for which the garbage collector has stopped the process, by process",
    multiprocess_mode="liveall",
)

GENERATIONS = range(3)
COLLECTIONS = with_values(
    Counter("smarttrip_gc_collections_total", "Runs of the garbage collector", ["generation"]), GENERATIONS
)
PAUSES = with_values(
    Counter("smarttrip_gc_pause_seconds_total", "Time that the garbage collector stopped the process", ["generation"]),
    GENERATIONS,
)


class CollectorTimer:
    """Counts in plain numbers: a collection may begin while a metric is locked."""

    def __init__(self) -> None:
        self._started_at = 0.0
        self._runs = [0 for _ in GENERATIONS]
        self._seconds = [0.0 for _ in GENERATIONS]
        self._total = 0.0
        """Seconds since the process started."""

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._started_at = perf_counter()
            return
        self._runs[info["generation"]] += 1
        self._seconds[info["generation"]] += perf_counter() - self._started_at

    def report(self) -> None:
        """Add what was counted since the last call to the metrics."""
        for generation in GENERATIONS:
            runs, self._runs[generation] = self._runs[generation], 0
            seconds, self._seconds[generation] = self._seconds[generation], 0.0
            self._total += seconds
            COLLECTIONS.labels(generation).inc(runs)
            PAUSES.labels(generation).inc(seconds)
        PROCESS_PAUSES.set(self._total)


_timer = CollectorTimer()
gc.callbacks.append(_timer)


def report_process() -> None:
    """Update the metrics that are counted in plain numbers, or read when they are needed."""
    report_dropped_lines()
    report_pools()
    report_counters()
    _timer.report()


async def watch_event_loop() -> NoReturn:
    """Measure the lag of the event loop until cancelled."""
    loop = asyncio.get_running_loop()
    lags: deque[float] = deque(maxlen=round(LONGEST_LAG_SECONDS / LAG_PERIOD_SECONDS))
    while True:
        due = loop.time() + LAG_PERIOD_SECONDS
        await asyncio.sleep(LAG_PERIOD_SECONDS)
        lags.append(max(0.0, loop.time() - due))
        LOOP_LAG.observe(lags[-1])
        LONGEST_LAG.set(max(lags))
