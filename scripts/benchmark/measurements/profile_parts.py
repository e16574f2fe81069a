"""Which part of the API a sample of `py-spy` belongs to: that of the deepest frame whose file is known."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

OTHER = "other"
LOOP = "event loop"
EVENT_LOOP = "asyncio/runners.py"
"""File of the main thread's frame that runs the loop."""

FILES: Mapping[str, str] = {
    "app/server/coalescing_transport.py": "writing the response",
    "app/server/lingering_transport.py": "writing the response",
    "app/server/": "HTTP server",
    "uvicorn/": "HTTP server",
    "app/http/requests.py": "validation",
    "schemas/": "validation",
    "app/http/encoded_body.py": "compression",
    "app/endpoints/": "routing, handlers",
    "app/routes/": "routing, handlers",
    "starlette/routing.py": "routing, handlers",
    "app/access/": "rate limits",
    "app/middleware/rate_limiting.py": "rate limits",
    "app/middleware/": "middleware, metrics, access log",
    "app/observability/": "middleware, metrics, access log",
    "app/http/": "middleware, metrics, access log",
    "app/state.py": "middleware, metrics, access log",
    "app/cache/": "cache",
    "app/backends/redis": "Redis",
    "redis/": "Redis",
    "app/tracking/": "events, request log",
    "app/backends/database.py": "Postgres",
    "app/backends/replica": "Postgres",
    "app/backends/shared_reads.py": "Postgres",
    "app/repositories/": "Postgres",
    "core/postgres/": "Postgres",
    "sqlalchemy/": "Postgres",
    "asyncpg/": "Postgres",
    "app/backends/http_client.py": "sending the search",
    "app/backends/failover_client.py": "sending the search",
    "app/backends/circuit_breaker.py": "sending the search",
    "core/concurrency/stall_detector.py": "sending the search",
    "app/recommendations/trip_search/": "decoding the hits",
    "scoring/explain.py": "scores and reasons",
    # `scoring/predicates.py` serves both: its callers tell which.
    "scoring/rules.py": "rules, candidate filter, search body",
    "scoring/filters.py": "rules, candidate filter, search body",
    "scoring/elasticsearch.py": "rules, candidate filter, search body",
    "scoring/point_steps.py": "rules, candidate filter, search body",
    "scoring/simplification.py": "rules, candidate filter, search body",
    "app/recommendations/": "text of the response, its records",
    EVENT_LOOP: LOOP,
}
"""Parts by the beginning of a path; the first entry that fits counts."""

Stack: TypeAlias = tuple[str, ...]
"""Frames such as `RequestCycle.send (app/server/request_cycle.py:18)`, the outermost first."""


def read_event_loop_samples(lines: Iterable[str]) -> Counter[Stack]:
    """Read py-spy's format `raw`, and return the number of samples by stack, from the frame that runs the event loop.

    Other threads are left out: they wait nearly always, which py-spy can take for work.
    """
    samples: Counter[Stack] = Counter()
    for line in lines:
        text, _, count = line.rpartition(" ")
        frames = text.split(";")
        start = next((index for index, frame in enumerate(frames) if EVENT_LOOP in frame), None)
        if start is not None:
            samples[tuple(frames[start:])] += int(count)
    return samples


def shares_by_part(samples: Counter[Stack]) -> dict[str, float]:
    """Return the share of each part in the samples, the largest first."""
    by_part: Counter[str] = Counter()
    for stack, number in samples.items():
        by_part[_part(stack)] += number
    return {part: number / samples.total() for part, number in by_part.most_common()}


def _part(stack: Stack) -> str:
    return next((part for frame in reversed(stack) if (part := part_of_frame(frame)) != OTHER), OTHER)


@lru_cache(maxsize=4096)
def part_of_frame(frame: str) -> str:
    """Return the part that a frame's file belongs to, OTHER if the file is in none."""
    path = frame.rpartition(" (")[2]
    return next((part for beginning, part in FILES.items() if path.startswith(beginning)), OTHER)
