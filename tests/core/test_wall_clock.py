"""The wall clock of a process is read only where nothing depends on it agreeing with that of another one."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "core", "indexer", "tracking", "schemas")

WALL_CLOCK = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}

ALLOWED = {
    "app/cache/response_cache.py": "lives of entries that processes share",
    "app/recommendations/response.py": "time of the response, for people",
    "app/repositories/analytics.py": "default period of a report",
    "app/routes/recommendations.py": "time of a request",
    "app/routes/tracking.py": "time of an event",
    "core/business_date.py": "today's date, for people",
    "core/clock.py": "notices jumps",
    "indexer/feed/notifier.py": "the lag of changes",
    "indexer/index/admin.py": "part of an index name",
    "indexer/rebuild/loader.py": "expected end of a reindex, a metric",
    "indexer/invalidation.py": "start of a counter that was lost",
    "schemas/api/analytics.py": "default period of a report",
}


def wall_clock_readers() -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            if WALL_CLOCK & {ast.unparse(function) for function in calls}:
                yield str(path.relative_to(ROOT))


def test_wall_clock_is_read_only_where_it_may_be_wrong() -> None:
    assert set(wall_clock_readers()) <= ALLOWED.keys()
