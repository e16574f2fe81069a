"""Which role's processes serve a path, and which paths have public responses: maps of nginx, from the endpoints."""

import re
from collections.abc import Iterable, Mapping

from app.endpoints.endpoint import Endpoint
from app.http.conditional import PUBLIC_ONE_HOUR
from app.http.requests import MAX_BODY
from app.routes import ENDPOINTS, endpoints_of
from core.configuration.roles import ROLES, Role

DEFAULT_ROLE: Role = "recommendations"
"""Role that serves probes and documents, which every role has, and responds 404 to paths that no endpoint has."""

PUBLIC_SECONDS = 2
"""Seconds that a process may take for a public response before a copy is served instead."""


def role_of_paths() -> dict[str, Role]:
    """Return the role of each path template. Raises: ValueError if two roles have one path."""
    everywhere = {endpoint.path for endpoint in endpoints_of([])}
    found: dict[str, Role] = {}
    for role in ROLES:
        for path in {endpoint.path: None for endpoint in endpoints_of([role])}:
            if path not in everywhere and found.setdefault(path, role) != role:
                raise ValueError(f"{path} belongs to {found[path]} and to {role}: a gateway goes by the path.")
    return found


def public_paths() -> list[str]:
    """Return the path templates whose responses caches may share."""
    return list(
        dict.fromkeys(
            endpoint.path
            for endpoint in ENDPOINTS
            if endpoint.cache and endpoint.cache.cache_control == PUBLIC_ONE_HOUR
        )
    )


def public_paths_conf() -> str:
    """Return a location for all public paths: a process that stalls is not waited for where there is a copy."""
    patterns = "|".join(_pattern(path) for path in public_paths())
    return (
        f'location ~ "^(?:{patterns})\\z" {{\n'
        f"    proxy_read_timeout {PUBLIC_SECONDS}s;\n"
        f"    proxy_next_upstream_timeout {PUBLIC_SECONDS}s;\n"
        "    proxy_pass http://$role;\n}"
    )


def roles_conf() -> str:
    roles = {path: role for path, role in role_of_paths().items() if role != DEFAULT_ROLE}
    public = dict.fromkeys(public_paths(), "public")
    queries = {endpoint.path: "$is_args$args" for endpoint in ENDPOINTS if endpoint.path in public and endpoint.query}
    return "\n".join(
        [
            "# $routed_path is the decoded path, or empty where the API would read another one.",
            _map("$routed_path", "$role", DEFAULT_ROLE, _by_path(roles)),
            _map("$routed_path", "$cache_zone", "off", _by_path(public)),
            # Of the others a query changes nothing: it must make no copy of its own.
            _map("$routed_path", "$cached_query", '""', _by_path(queries)),
            # Of the request as it was sent: an error page has another path.
            _map("$request_uri", "$max_body_kib", str(MAX_BODY // 1024), _large_targets()),
        ]
    )


def large_bodies_conf() -> str:
    """Return a location for each path that accepts larger bodies than the others."""
    return "\n".join(
        f"location = {path} {{\n    client_max_body_size {kib}k;\n    proxy_pass http://$role;\n}}"
        for path, kib in _large_bodies(ENDPOINTS).items()
    )


def _large_bodies(endpoints: Iterable[Endpoint]) -> dict[str, str]:
    return {endpoint.path: str(endpoint.max_body // 1024) for endpoint in endpoints if endpoint.max_body != MAX_BODY}


def _large_targets() -> dict[str, str]:
    return {f"~^{re.escape(path)}([?]|$)": kib for path, kib in _large_bodies(ENDPOINTS).items()}


def _map(source: str, variable: str, default: str, values: Mapping[str, str]) -> str:
    lines = [f'    "{pattern}" {value};' for pattern, value in values.items()]
    return "\n".join([f"map {source} {variable} {{", f"    default {default};", *lines, "}"])


def _by_path(values: Mapping[str, str]) -> dict[str, str]:
    """Return the values by patterns of paths: nginx ignores the case of a text, and the API does not."""
    return {f"~^{_pattern(template)}\\z": value for template, value in values.items()}


def _pattern(template: str) -> str:
    """Return what matches the paths of a template, which may have an id."""
    return "[0-9]+".join(re.escape(part) for part in template.split("{id:int}"))
