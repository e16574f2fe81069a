"""The platform changes the type of a column: lists, the search in Postgres and documents read it as they did before.

Ranges over every column of the catalogue, and every type that Postgres can convert it to. Where a value is lost, it
costs its row at most.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy import Boolean, Column, Date, DateTime, Integer, Numeric, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from app.main import create_app
from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from indexer.documents.builder import DocumentBatch, build_documents
from indexer.documents.rows import snapshot
from schemas.tables import Base, EvaluationScenario, TripOccurrence, TripTemplateCountry, TripTemplateTag
from tests.app.conftest import fill
from tests.app.routes.test_odd_rows import TABLES
from tests.app.test_missing_columns import PATHS
from tests.support.api.serving import with_state
from tests.support.changed_columns import change_type, keeps_values, stood_aside, types_to_convert_to
from tests.support.sync import execute

READ_TABLES: tuple[type[Base], ...] = (*TABLES, TripTemplateCountry, TripTemplateTag, EvaluationScenario)
COLUMNS: list[Column[Any]] = [
    column  # type: ignore[misc]
    for table in READ_TABLES
    for column in table.__table__.columns
]
SEARCHES: tuple[dict[str, Any], ...] = (
    {},
    {"budget": 2000, "min_duration": 1, "max_duration": 30, "year": "2027", "difficulty": 2},
    {"selected_continents": ["Asia"], "preferred_type_id": 1, "preferred_theme_ids": [1], "selected_countries": [1]},
)
OTHER_TYPES: tuple[tuple[type, str], ...] = (
    (Numeric, "double precision"),
    (Integer, "numeric"),
    (Boolean, "integer"),
    (Date, "timestamp with time zone"),
    (DateTime, "timestamp with time zone"),
    (JSONB, "json"),
)

READ = [path for path in PATHS if "?" not in path or "templates" in path or "/v2/occurrences" in path]
READ.append("/api/evaluation/scenarios")

Responses = Mapping[str, tuple[int, Any]]


def without_id(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "request_id"}


@dataclass(frozen=True)
class Readers:
    """What reads the platform's columns: an API whose searches are answered by Postgres, and the worker."""

    api: httpx2.AsyncClient
    forget: Callable[[], Awaitable[None]]
    """Compares the columns again, and empties caches."""
    backends: Backends

    async def read(self) -> tuple[Responses, DocumentBatch]:
        await self.forget()
        return await self._responses(), await self._documents()

    async def _responses(self) -> Responses:
        found = [(path, await self.api.get(path)) for path in READ]
        found += [(str(body), await self.api.post("/api/v2/recommendations", json=body)) for body in SEARCHES]
        return {name: (response.status_code, without_id(response.json())) for name, response in found}

    async def _documents(self) -> DocumentBatch:
        async with self.backends.postgres.connect() as connection:
            ids = (await connection.scalars(select(TripOccurrence.id))).all()
        async with snapshot(self.backends.postgres) as connection:
            return await build_documents(connection, [number for number in ids if number is not None])


@pytest.fixture(scope="module")
async def readers(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncIterator[Readers]:
    await fill(settings, engine, redis)
    await execute(engine, "INSERT INTO evaluation_scenarios (name, preferences) VALUES ('one', '{}')")
    async with open_readers(settings, redis) as readers:
        yield readers


@asynccontextmanager
async def open_readers(settings: Settings, redis: Redis) -> AsyncIterator[Readers]:
    app = create_app(settings.model_copy(update={"answer_cache_seconds": 0, "elasticsearch_url": "http://127.0.0.1:9"}))
    async with app.router.lifespan_context(app) as state, open_backends(settings) as backends:
        assert state is not None

        async def forget() -> None:
            await redis.flushdb()
            for entries in (state["cache"]._local, state["cache"]._brief):
                entries.clear()
            await state["database"].columns.check()
            await backends.columns.check()

        transport = httpx2.ASGITransport(app=with_state(app, dict(state)), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as api:
            yield Readers(api, forget, backends)


def assert_served(responses: Responses) -> None:
    for name, (status, body) in responses.items():
        assert status in (200, 404), (name, json.dumps(body)[:300])


def assert_equal(now: tuple[Responses, DocumentBatch], before: tuple[Responses, DocumentBatch]) -> None:
    assert {name: found for name, found in now[0].items() if found != before[0][name]} == {}
    assert now[1] == before[1]


def other_type(column: Column[Any]) -> str:
    return next((name for kind, name in OTHER_TYPES if isinstance(column.type, kind)), "text")


@pytest.mark.parametrize("choose_type", [lambda column: "text", other_type], ids=["text", "other"])
async def test_changed_types_change_no_response(
    readers: Readers, engine: AsyncEngine, choose_type: Callable[[Column[Any]], str]
) -> None:
    before = await readers.read()
    assert_served(before[0])
    assert len(before[1].documents) == 3
    async with AsyncExitStack() as changed:
        for column in COLUMNS:
            await changed.enter_async_context(stood_aside(engine, column))
            assert await change_type(engine, column, choose_type(column)), column
        assert_equal(await readers.read(), before)
    assert_equal(await readers.read(), before)


ZONES = ("Pacific/Kiritimati", "Asia/Jerusalem", "UTC", "America/Los_Angeles", "Pacific/Pago_Pago")
"""From the first zone in which a day begins to the last."""


@pytest.fixture(params=ZONES)
def in_zone(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Settings with another time zone."""
    return settings.model_copy(update={"timezone": request.param})


@pytest.mark.parametrize("time", ["00:00", "23:59"])
async def test_days_of_times_are_those_of_the_configured_zone(
    readers: Readers, in_zone: Settings, engine: AsyncEngine, redis: Redis, time: str
) -> None:
    days = [column for column in COLUMNS if isinstance(column.type, Date)]
    assert days
    before = await readers.read()
    async with AsyncExitStack() as changed:
        for column in days:
            await changed.enter_async_context(stood_aside(engine, column))
            moment = f"({column.name}_was + CAST('{time}' AS time)) AT TIME ZONE '{in_zone.timezone}'"
            retype = f"ALTER TABLE {column.table.name} ALTER {column.name} TYPE timestamptz USING {moment}"
            await execute(engine, retype)
        async with open_readers(in_zone, redis) as now:
            assert_equal(await now.read(), before)


async def test_value_without_meaning_costs_its_row(readers: Readers, engine: AsyncEngine) -> None:
    price: Column[Any] = TripOccurrence.__table__.c.price_override  # type: ignore[assignment]
    start: Column[Any] = TripOccurrence.__table__.c.start_date  # type: ignore[assignment]
    before, _ = await readers.read()
    async with stood_aside(engine, start), stood_aside(engine, price):
        for column in (start, price):
            await change_type(engine, column, "text")
        await execute(engine, "UPDATE trip_occurrences SET start_date = 'soon' WHERE id = 1")
        await execute(engine, "UPDATE trip_occurrences SET price_override = 'cheap' WHERE id = 2")
        responses, batch = await readers.read()
    assert_served(responses)
    assert batch.documents.keys() == {3}
    for name in ("/api/v2/trip-occurrences", "{}"):
        [listed] = responses[name][1]["data"]
        assert listed["id"] == 3, name
        assert listed in before[name][1]["data"]


@pytest.mark.parametrize(
    "column",
    [pytest.param(column, marks=() if column.primary_key else pytest.mark.slow, id=str(column)) for column in COLUMNS],
)
async def test_value_without_meaning_fails_no_response(
    readers: Readers, engine: AsyncEngine, column: Column[Any]
) -> None:
    table = column.table.name
    async with stood_aside(engine, column):
        assert await change_type(engine, column, "text")
        first = f"ctid = (SELECT min(ctid) FROM {table})"
        await execute(engine, f"UPDATE {table} SET {column.name} = 'odd' WHERE {first}")
        responses, _ = await readers.read()
        assert_served(responses)


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS, ids=str)
async def test_changed_type_costs_the_values_that_are_lost(
    readers: Readers, engine: AsyncEngine, column: Column[Any]
) -> None:
    before = await readers.read()
    types = await types_to_convert_to(engine, column)
    async with stood_aside(engine, column):
        for type_name in types:
            if not await change_type(engine, column, type_name):
                continue
            responses, batch = await readers.read()
            assert_served(responses)
            if await keeps_values(engine, column):
                assert_equal((responses, batch), before)
