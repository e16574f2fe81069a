"""Lookup from a request's method and path to its rate-limit group, built once from the endpoints."""

from collections.abc import Iterable

from app.access.rate_limiter import RateLimitGroup
from app.endpoints.endpoint import Endpoint


class RateLimitGroups:
    """The rate limiter runs before routing, so paths that match no endpoint have a group as well."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        """Build the lookup. Raises: ValueError, if endpoints that share a path or a prefix name different groups."""
        self._by_path: dict[str, RateLimitGroup | None] = {}
        by_prefix: dict[str, RateLimitGroup | None] = {}
        for endpoint in endpoints:
            prefix, parameter, _ = endpoint.path.partition("{")
            _set_once(by_prefix if parameter else self._by_path, prefix, endpoint.rate_limit)
            if endpoint.rate_limit_subtree:
                _set_once(by_prefix, f"{endpoint.path}/", endpoint.rate_limit)
        # The longest prefix first, because it is the most specific one.
        self._by_prefix = sorted(by_prefix.items(), key=lambda item: -len(item[0]))

    def group_of(self, method: str, path: str) -> RateLimitGroup | None:
        """Return the group in which a request is counted, or None if it is not counted."""
        if method == "OPTIONS":
            return None
        if path in self._by_path:
            return self._by_path[path]
        return next((group for prefix, group in self._by_prefix if path.startswith(prefix)), "default")


def _set_once(groups: dict[str, RateLimitGroup | None], path: str, group: RateLimitGroup | None) -> None:
    if groups.setdefault(path, group) != group:
        raise ValueError(f"Endpoints at {path} name different rate-limit groups: {groups[path]} and {group}.")
