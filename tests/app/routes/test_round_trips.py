"""Exact numbers of statements and round trips of the endpoints that are not cached; see also test_cached.py."""

from collections.abc import Collection
from typing import Any

import httpx2
import pytest

from app.routes import ENDPOINTS
from tests.support.statements import Statements
from tests.support.tracking.visits import PERSON, SESSION, event

VISITOR = {"session_id": SESSION, "anonymous_id": PERSON}

EVENTS: dict[str, dict[str, Any]] = {"/api/events": event(), "/api/events/batch": {"events": [event(), event()]}}

STATEMENTS: list[tuple[str, str, dict[str, Any] | None, tuple[int, int]]] = [
    ("POST", "/api/session/start", VISITOR, (4, 1)),
    ("POST", "/api/user/identify", {"anonymous_id": PERSON, "email": "dana@example.org"}, (4, 4)),
    *[("POST", path, body, (0, 0)) for path, body in EVENTS.items()],
    ("GET", "/api/events/types", None, (0, 0)),
    ("GET", "/api/metrics", None, (1, 1)),
    ("GET", "/api/metrics/daily", None, (1, 1)),
    ("GET", "/api/metrics/top-searches", None, (4, 4)),
    ("GET", "/api/evaluation/scenarios", None, (1, 1)),
    ("GET", "/livez", None, (0, 0)),
    ("GET", "/metrics", None, (0, 0)),
    ("GET", "/", None, (0, 0)),
]
"""Method, path, body, and the number of statements of the first and the second request."""


NOT_COUNTED = {
    "/api/v2/recommendations",  # test_cost.py
    "/api/evaluation/run",  # As many searches as there are scenarios.
    "/api/health",  # Its counts are cached.
    "/readyz",
    "/favicon.ico",
    "/robots.txt",
}


def test_statements_of_every_uncached_endpoint_are_counted() -> None:
    uncached = {one.path for one in ENDPOINTS if not (one.cache or one.admin or one.tag == "description")}
    assert {path for _, path, _, _ in STATEMENTS} | NOT_COUNTED == uncached


@pytest.mark.parametrize(("method", "path", "body", "counts"), STATEMENTS)
async def test_response_takes_exact_number_of_statements(
    api: httpx2.AsyncClient,
    statements: Statements,
    *,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    counts: tuple[int, int],
) -> None:
    for count in counts:
        statements.clear()
        assert (await api.request(method, path, json=body)).is_success
        assert len(statements) == count, "\n".join(statements)


@pytest.mark.parametrize("path", EVENTS)
async def test_events_take_one_redis_round_trip(
    api: httpx2.AsyncClient, sent: list[Collection[bytes]], path: str
) -> None:
    # The first request loads the script into Redis.
    await api.post(path, json=EVENTS[path])
    sent.clear()
    await api.post(path, json=EVENTS[path])
    scripts = [command for commands in sent for command in commands if b"EVALSHA" in command]
    assert len(scripts) == 1
