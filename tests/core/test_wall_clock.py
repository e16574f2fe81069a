"""The wall clock of a process is read only where civil time is meant, and never for a duration or between processes."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "core", "indexer", "tracking", "schemas", "scoring")

WALL_CLOCK = {
    *(f"datetime.{name}" for name in ("now", "utcnow", "today", "fromtimestamp")),
    *(f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "strftime", "clock_gettime")),
    "date.today",
}
CLOCK_METHODS = {"set_to_current_time"}
"""Methods that read the wall clock, whatever the object is called."""

ALLOWED = {
    "app/observability/request_metrics.py": "time of an exemplar",
    "app/recommendations/response.py": "time of a request",
    "app/routes/tracking.py": "time of an event",
    "core/business_date.py": "today's date",
    "core/clock.py": "notices jumps",
    "core/tracing/opentelemetry_tracer.py": "end of a span, from which its monotonic duration is subtracted",
    "indexer/feed/consumer.py": "time of progress, which Prometheus compares with its own clock",
    "indexer/index/admin.py": "part of an index name, for people",
    "indexer/rebuild/loader.py": "expected end of a reindex, for people",
    "schemas/api/analytics.py": "today's date, the default of a report",
}
"""Modules that need civil time, and what for."""


def called_names(tree: ast.Module) -> Iterator[str]:
    """Yield the functions that a module calls, by their full names where they are imported from `time`."""
    imported = {
        alias.asname or alias.name: f"time.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield imported.get(name, name)


def reads_wall_clock(code: str) -> bool:
    return any(name in WALL_CLOCK or name.rpartition(".")[2] in CLOCK_METHODS for name in called_names(ast.parse(code)))


def test_wall_clock_is_read_only_where_civil_time_is_meant() -> None:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    readers = {str(path.relative_to(ROOT)) for path in paths if reads_wall_clock(path.read_text())}
    assert readers == ALLOWED.keys()


def test_every_way_to_read_it_is_found() -> None:
    for name in WALL_CLOCK:
        assert reads_wall_clock(f"x = {name}()")
    for code in ("from time import time as now\nnow()", "GAUGE.labels('a').set_to_current_time()"):
        assert reads_wall_clock(code)
    assert not reads_wall_clock("from time import monotonic\nmonotonic()\ntime.monotonic()")
