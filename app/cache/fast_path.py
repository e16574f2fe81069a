"""What was answered from the cache once is answered from it again without being routed, as long as it holds."""

from dataclasses import dataclass

from cachetools import LRUCache
from starlette.routing import Route
from starlette.types import Scope

from app.http.conditional import cached_response
from app.http.raw_response import RawResponse
from schemas.invalidation import EntityKind

MAX_ENTRIES = 2000
"""Targets that one process remembers."""


@dataclass(frozen=True, slots=True)
class CachedRoute:
    """A path with its query, and under which key its answer lies in the cache."""

    key: str
    depends_on: frozenset[EntityKind]
    cache_control: str
    route: Route
    """Under which its requests are counted."""


class CachedGetIndex:
    def __init__(self) -> None:
        self._targets: LRUCache[tuple[str, bytes], CachedRoute] = LRUCache(MAX_ENTRIES)

    def remember(self, scope: Scope, key: str, depends_on: frozenset[EntityKind], cache_control: str) -> None:
        if scope["method"] == "GET":
            target = CachedRoute(key, depends_on, cache_control, scope["route"])
            self._targets[scope["path"], scope["query_string"]] = target

    def answer(self, scope: Scope) -> RawResponse | None:
        """None if this process does not hold it."""
        target = self._targets.get((scope["path"], scope["query_string"]))
        if target is None:
            return None
        body = scope["state"]["cache"].held(target.key, target.depends_on)
        if body is None:
            return None
        scope["route"] = target.route
        return cached_response(scope["state"]["context"].headers, body, target.cache_control)
