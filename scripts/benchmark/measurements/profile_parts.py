"""Which part of the API a sample of `py-spy` belongs to: that of the deepest frame whose file is known."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

OTHER = "other"

FILES: Mapping[str, str] = {
    "app/server/coalescing_transport.py": "writing the response",
    "app/server/lingering_transport.py": "writing the response",
    "app/server/": "HTTP server",
    "uvicorn/": "HTTP server",
    "app/http/requests.py": "validation",
    "schemas/": "validation",
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
    "app/backends/batching.py": "Redis",
    "redis/": "Redis",
    "app/tracking/": "events, request log",
    "app/backends/": "sending the search",
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
    "asyncio/runners.py": "event loop, reading from sockets",
}
"""Parts by the beginning of a path; the first entry that fits counts."""


def shares_by_part(stacks: Iterable[str]) -> dict[str, float]:
    """Return the share of each part in the samples of the main thread, the largest first.

    `stacks` are lines of py-spy's format `raw`: frames from the outermost to the innermost, and a number of samples.
    """
    samples: Counter[str] = Counter()
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        # Other threads wait nearly always, which py-spy can take for work.
        if "asyncio/runners.py" in frames:
            samples[_part(frames)] += int(count)
    total = samples.total()
    return {part: number / total for part, number in samples.most_common()}


def _part(frames: str) -> str:
    return next((part for frame in reversed(frames.split(";")) if (part := _part_of_frame(frame)) != OTHER), OTHER)


@lru_cache(maxsize=4096)
def _part_of_frame(frame: str) -> str:
    """Return the part of a frame such as `RequestCycle.send (app/server/request_cycle.py:15)`."""
    path = frame.rpartition(" (")[2]
    return next((part for beginning, part in FILES.items() if path.startswith(beginning)), OTHER)
