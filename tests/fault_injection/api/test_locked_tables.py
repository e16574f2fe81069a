"""A lock that somebody holds on any of the platform's tables costs what needs this table, and opens no circuit."""

import asyncio

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.endpoints.endpoint import Endpoint
from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from migrations.versions.r2_sync import WATCHED
from tests.support.api.serving import serving

IDS = (1, 2, 3)
ROUNDS = 2
"""In the first one, calls may be at their end before the locks have been read: the process starts."""
TABLES = sorted({watched.table for watched in WATCHED} | {"events", "sessions", "users"})
READING = [
    endpoint
    for endpoint in ENDPOINTS
    if endpoint.method == "GET" and endpoint.path.startswith("/api/") and not endpoint.admin
]


async def send(api: httpx2.AsyncClient, endpoint: Endpoint, number: int) -> httpx2.Response:
    path = endpoint.path.replace("{id:int}", str(number))
    return await api.get(path, headers={"Cache-Control": "no-cache"})


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
async def test_lock_opens_no_circuit_and_is_named(settings: Settings, database: AsyncEngine, table: str) -> None:
    settings = settings.model_copy(update={"postgres_statement_seconds": 3.0, "postgres_pool_seconds": 2.0})
    async with serving(settings) as api, database.connect() as holder:
        await holder.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        pid = await holder.scalar(text("SELECT pg_backend_pid()"))
        holds = f"process {pid} of Postgres holds {table} AccessExclusiveLock"
        for _ in range(ROUNDS):
            sent = await asyncio.gather(*(send(api, endpoint, n) for endpoint in READING for n in IDS))
        errors = {response.json().get("error", holds) for response in sent if response.status_code == 503}
        assert {response.status_code for response in sent} <= {200, 400, 404, 503}
        assert all(holds in error for error in errors), errors
        assert 'smarttrip_breaker_state{dependency="postgres"} 0.0' in (await api.get("/metrics")).text
        await holder.rollback()
        assert (await api.get("/api/countries")).status_code == 200
