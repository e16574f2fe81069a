"""The platform drops or renames a column: endpoints and documents do without it where they can.

Otherwise a response is a clear 503, in a bounded log.

Ranges over every column that triggers watch, and every endpoint that lists or shows rows.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson
import pytest
from redis.asyncio import Redis
from sqlalchemy import Column
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.routes import ENDPOINTS
from core.configuration.settings import Settings
from core.postgres import platform_columns
from core.postgres.platform_columns import is_optional
from indexer.backends import open_backends
from indexer.documents.builder import build_documents
from indexer.documents.rows import snapshot
from indexer.invalidation_publisher import publish_all_changed
from migrations.versions.r2_sync import WATCHED
from schemas.messages.message import Message
from schemas.tables import Base
from tests.app.conftest import fill
from tests.support.api.serving import serving
from tests.support.changed_columns import renamed
from tests.support.eventually import eventually
from tests.support.sync import execute

PATHS = [
    path.replace("{id:int}", "1")
    for endpoint in ENDPOINTS
    if endpoint.method == "GET" and endpoint.cache
    for path in (endpoint.path, f"{endpoint.path}?include_occurrences=true&include_template=true")
]
COLUMNS = [
    Base.metadata.tables[watched.table].columns[name] for watched in WATCHED for name in sorted(watched.columns.split())
]
OPTIONAL = [column for column in COLUMNS if is_optional(column)]
REQUIRED = [column for column in COLUMNS if not is_optional(column)]

Responses = dict[str, tuple[int, Any]]


@pytest.fixture(scope="module", autouse=True)
async def trips(settings: Settings, engine: AsyncEngine, redis: Redis) -> None:
    await fill(settings, engine, redis)


@asynccontextmanager
async def fresh_api(settings: Settings, redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    """Run an API without cached responses."""
    await redis.flushdb()
    async with serving(settings) as api:
        yield api


async def responses(api: httpx2.AsyncClient) -> Responses:
    return {path: (response.status_code, response.json()) for path in PATHS for response in [await api.get(path)]}


def without(value: Any, names: set[str]) -> Any:
    """Return JSON with null for what has one of the names."""
    if isinstance(value, dict):
        return {name: None if name in names else without(item, names) for name, item in value.items()}
    return [without(item, names) for item in value] if isinstance(value, list) else value


async def test_lists_do_without_optional_columns(settings: Settings, engine: AsyncEngine, redis: Redis) -> None:
    async with fresh_api(settings, redis) as api:
        before = await responses(api)
    async with fresh_api(settings, redis) as api, renamed(engine, *OPTIONAL):
        first = await api.get(PATHS[0])
        assert first.status_code in (200, 503)
        await eventually(lambda: _succeed(api), within=15)
        now = await responses(api)
    names = {camel(column.name) for column in OPTIONAL} | {"effectiveImageUrl"}
    assert {path: (status, without(body, names)) for path, (status, body) in before.items()} == {
        path: (status, without(body, names)) for path, (status, body) in now.items()
    }


async def test_what_was_cached_without_a_column_is_outdated_once_it_is_back(
    settings: Settings, engine: AsyncEngine, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process caches the columns as they were, also after the worker's message, until it looks for itself."""
    monkeypatch.setattr(platform_columns, "CHECK_SECONDS", 1.0)
    await execute(engine, "UPDATE trip_templates SET image_url = 'https://example.com/trip.jpg'")
    async with fresh_api(settings, redis) as api:
        before = await responses(api)
    async with fresh_api(settings, redis) as api:
        async with renamed(engine, *OPTIONAL):
            await eventually(lambda: _succeed(api), within=30)
            assert await responses(api) != before

        await publish_all_changed(redis)

        async def is_as_before() -> bool:
            return await responses(api) == before

        await eventually(is_as_before, within=30)


async def documents(settings: Settings) -> dict[int, Any]:
    async with open_backends(settings) as backends, snapshot(backends.postgres) as connection:
        batch = await build_documents(connection, range(1, 10))
    assert not batch.rejected
    return {number: orjson.loads(document) for number, document in batch.documents.items()}


async def test_documents_do_without_optional_columns(settings: Settings, engine: AsyncEngine) -> None:
    before = await documents(settings)
    async with renamed(engine, *OPTIONAL):
        now = await documents(settings)
    names = {camel(column.name) for column in OPTIONAL} | {"effectiveImageUrl"}
    assert before
    assert without(now, names) == without(before, names)


async def _succeed(api: httpx2.AsyncClient) -> bool:
    return all(status == 200 for status, _ in (await responses(api)).values())


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.title() for part in others)


LACKING = (503, "unavailable", Message("database_lacks_what_is_needed").text("en"))


@asynccontextmanager
async def renamed_table(engine: AsyncEngine, name: str) -> AsyncIterator[None]:
    await execute(engine, f"ALTER TABLE {name} RENAME TO {name}_new")
    try:
        yield
    finally:
        await execute(engine, f"ALTER TABLE {name}_new RENAME TO {name}")


async def test_missing_table_is_named_in_the_log_and_by_health(
    settings: Settings, engine: AsyncEngine, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform_columns, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr("app.lifespan.HEALTH_SECONDS", 0.0)
    async with fresh_api(settings, redis) as api:

        async def state() -> str:
            return str((await api.get("/api/health")).json()["dependencies"]["postgres"])

        async def is_incomplete() -> bool:
            return await state() == "incomplete"

        async def is_up() -> bool:
            return await state() == "up"

        async with renamed_table(engine, "guides"):
            with capture_logs() as logs:
                response = await api.get("/api/guides")
                await eventually(is_incomplete)
            assert (response.status_code, response.json()["code"], response.json()["error"]) == LACKING
            assert ["guides"] in [line.get("tables") for line in logs if line["event"] == "tables_missing"]
            assert (await api.get("/api/health")).json()["status"] == "degraded"
        await eventually(is_up)


async def check_column(settings: Settings, engine: AsyncEngine, redis: Redis, column: Column[Any]) -> None:
    """Assert that a response is as it was before, or a 503 that says so."""
    async with fresh_api(settings, redis) as api:
        before = await responses(api)
    async with fresh_api(settings, redis) as api, renamed(engine, column):
        with capture_logs() as logs:
            now = await responses(api)
    for path, (status, body) in now.items():
        assert (status, body) == before[path] or (status, body["code"], body["error"]) == LACKING, path
    assert not [line for line in logs if "exc_info" in line or len(str(line)) > 500]
    if any(status == 503 for status, _ in now.values()):
        assert any(column.name in line.get("message", "") for line in logs if line["event"] == "database_differs")


@pytest.mark.parametrize("column", REQUIRED[:1], ids=str)
async def test_other_columns_cost_a_503(
    settings: Settings, engine: AsyncEngine, redis: Redis, column: Column[Any]
) -> None:
    await check_column(settings, engine, redis, column)


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS, ids=str)
async def test_missing_column_causes_503_at_worst(
    settings: Settings, engine: AsyncEngine, redis: Redis, column: Column[Any]
) -> None:
    await check_column(settings, engine, redis, column)
