"""An odd value in a record of analytics, tracking or the synchronization costs only its row.

Ranges over every column of these tables, every odd value of its type, and every endpoint that reads them.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import ColumnElement, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from schemas.tables import (
    Base,
    BrowsingSession,
    DeadEvent,
    DeadLetter,
    IndexTarget,
    JobRun,
    OutboxRow,
    RecommendationMetricsDaily,
    RecommendationRequest,
    User,
)
from tests.app.conftest import ADMIN_KEY
from tests.app.routes.test_odd_rows import parsed
from tests.support.api.serving import serving
from tests.support.odd_values import odd_values, set_value

INSERTS: dict[type[Base], str] = {
    RecommendationRequest: (
        "INSERT INTO recommendation_requests (request_id, created_at, preferences, response_time_ms, total_candidates,"
        " primary_count, final_count, top_score, selected_continents, selected_countries, result_trip_ids,"
        " result_scores) VALUES (gen_random_uuid(), now(), '{}', 10, 1, 1, 1, 50, '{Asia}', '{7}', '{}', '{}')"
    ),
    RecommendationMetricsDaily: (
        "INSERT INTO recommendation_metrics_daily (date)"
        " SELECT current_date - count(*)::integer FROM recommendation_metrics_daily"
    ),
    DeadLetter: "INSERT INTO smarttrip.outbox_dead (kind, error, created_at) VALUES ('occurrence', 'x', now())",
    DeadEvent: "INSERT INTO smarttrip.event_dead (body, reason) VALUES ('{}', 'x')",
    IndexTarget: "INSERT INTO smarttrip.index_targets (name, state, mapping_hash) VALUES (gen_random_uuid(), 'x', '0')",
    JobRun: "INSERT INTO smarttrip.job_runs (name) VALUES (gen_random_uuid())",
    OutboxRow: "INSERT INTO smarttrip.outbox (kind) VALUES ('all')",
}
"""A row of each table that the endpoints for analytics and administrators read."""

READERS = [
    endpoint
    for endpoint in ENDPOINTS
    if endpoint.method == "GET"
    and endpoint.path.startswith(("/api/metrics", "/api/admin", "/api/evaluation", "/api/health", "/api/events"))
]
QUERIES: dict[str, list[dict[str, str]]] = {
    "/api/metrics": [{}, {"days": "90"}],
    "/api/metrics/daily": [{}, {"start": str(datetime.now(UTC).date() - timedelta(days=89))}],
    "/api/admin/dead-letters": [{"queue": "index"}, {"queue": "events"}],
}


@pytest.fixture
async def api(settings: Settings, database: AsyncEngine) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})) as client:
        client.headers["X-Admin-Key"] = ADMIN_KEY
        yield client


def odd_columns(table: type[Base]) -> list[tuple[ColumnElement[Any], str]]:
    return [(column, value) for column in table.__table__.columns for value in odd_values(column)]


async def insert(engine: AsyncEngine, table: type[Base]) -> str:
    """Insert a row and return its key."""
    key = next(iter(table.__table__.primary_key)).name
    async with engine.begin() as connection:
        return str(await connection.scalar(text(f"{INSERTS[table]} RETURNING {key}")))


async def make_odd(engine: AsyncEngine, table: type[Base], column: ColumnElement[Any], value: str, key: str) -> None:
    """Set the value, if a constraint allows it."""
    name = next(iter(table.__table__.primary_key)).name
    await set_value(engine, str(table.__table__), str(column.key), value, f"'{key}'", key=name)


def items(body: Any) -> list[Any]:
    """Return all objects and values of a response."""
    values = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return [body, *(found for value in values for found in items(value))]


@pytest.mark.parametrize("table", INSERTS, ids=lambda table: table.__tablename__)
async def test_odd_record_costs_only_itself(api: httpx2.AsyncClient, database: AsyncEngine, table: type[Base]) -> None:
    good = await insert(database, table)
    assert odd_columns(table)
    for column, value in odd_columns(table):
        await make_odd(database, table, column, value, await insert(database, table))
    for endpoint in READERS:
        for query in QUERIES.get(endpoint.path, [{}]):
            with capture_logs():
                response = await api.get(endpoint.path, params=query)
            assert response.status_code == 200, (endpoint.path, response.text[:300])
            body = parsed(response)
            if table is RecommendationRequest and endpoint.path == "/api/metrics":
                assert body["data"]["total_requests"] >= 1
                assert body["data"]["avg_top_score"] > 49
            if endpoint.path.startswith("/api/metrics"):
                assert None not in items(body), endpoint.path
            if table is RecommendationRequest and endpoint.path == "/api/metrics/top-searches":
                assert {"name": "Asia", "count": pytest.approx(len(odd_columns(table)), abs=20)} in items(body)
            if (table, query.get("queue")) in ((DeadLetter, "index"), (DeadEvent, "events")):
                assert int(good) in [item["id"] for item in body["data"]]


VISITORS = (
    "INSERT INTO users (anonymous_id, email) VALUES (:anonymous, :email) RETURNING id",
    "INSERT INTO sessions (session_id, anonymous_id, user_id) VALUES (:session, :anonymous, :user) RETURNING id",
)


@pytest.mark.parametrize("table", [User, BrowsingSession], ids=lambda table: table.__tablename__)
async def test_odd_visitor_is_tracked(api: httpx2.AsyncClient, database: AsyncEngine, table: type[Base]) -> None:
    for column, value in odd_columns(table):
        session, anonymous, email = uuid4(), uuid4(), f"{uuid4()}@example.org"
        keys = await create_visitor(database, session, anonymous, email)
        await make_odd(database, table, column, value, str(keys[table]))
        visitor = {"anonymous_id": str(anonymous), "email": email}
        requests = [("/api/session/start", {"session_id": str(start), **visitor}) for start in (session, uuid4())]
        for path, body in (*requests, ("/api/user/identify", visitor)):
            response = await api.post(path, json=body)
            answer = (response.status_code, response.json().get("user_id"))
            assert answer == (200, keys[User]), (path, str(column), value)


async def create_visitor(engine: AsyncEngine, session: UUID, anonymous: UUID, email: str) -> dict[type[Base], int]:
    async with engine.begin() as connection:
        user = await connection.scalar(text(VISITORS[0]), {"anonymous": anonymous, "email": email})
        values = {"session": session, "anonymous": anonymous, "user": user}
        return {User: user, BrowsingSession: await connection.scalar(text(VISITORS[1]), values)}
