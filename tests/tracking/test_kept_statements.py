"""The worker keeps prepared statements: what the platform changes meanwhile has no other effect than without."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Column, DateTime, Integer, Numeric, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from core import clients
from core.configuration.settings import Settings
from indexer.backends import Backends, open_backends
from schemas.tables import BrowsingSession, DeadEvent, Event, EventType, RecommendationRequest, TripInteraction, User
from tests.support.changed_columns import change_type, stood_aside
from tests.support.sync import execute
from tests.support.tracking.entries import TRIP, event, request_log
from tracking.writers.batches import store

TABLES = (Event, EventType, BrowsingSession, User, TripInteraction, RecommendationRequest)
COLUMNS: list[Column[Any]] = [column for table in TABLES for column in table.__table__.columns]  # type: ignore[misc]
OTHER_TYPES = ((Numeric, "double precision"), (Integer, "bigint"), (DateTime, "timestamp"), (JSONB, "json"))


def other_type(column: Column[Any]) -> str:
    return next((name for kind, name in OTHER_TYPES if isinstance(column.type, kind)), "varchar")


@pytest.fixture
async def keeping(settings: Settings, database: AsyncEngine) -> AsyncIterator[Backends]:
    async with open_backends(settings) as backends:
        yield backends


@pytest.fixture
async def forgetting(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = clients.postgres(settings.database_url)
    yield engine
    await engine.dispose()


async def outcome(engine: AsyncEngine) -> tuple[str, int, int, int]:
    """Store a batch; return its error, and how many rows there are more."""
    before = await count(engine)
    session, person = uuid4(), uuid4()
    clicks = [event("click_trip", trip_id=TRIP, source="search_results", session_id=session, anonymous_id=person)] * 2
    error = ""
    try:
        await store(engine, [*clicks, event(session_id=session, anonymous_id=person), request_log()])
    except Exception as raised:  # noqa: BLE001  # the same is raised without kept statements
        error = type(getattr(raised, "orig", raised)).__name__
    after = await count(engine)
    return error, *(now - then for now, then in zip(after, before, strict=True))  # type: ignore[return-value]


async def count(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as connection:
        return [
            await connection.scalar(text(f"SELECT count(*) FROM {table.__table__}")) or 0
            for table in (Event, RecommendationRequest, DeadEvent)
        ]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_changed_types_have_the_effect_that_they_have_without_kept_statements(
    keeping: Backends, forgetting: AsyncEngine, database: AsyncEngine
) -> None:
    engine = keeping.postgres
    usual = await outcome(engine)
    assert usual == ("", 2, 1, 0)
    for column in COLUMNS:
        async with stood_aside(database, column):
            for type_name in ("text", other_type(column)):
                assert await outcome(engine) == await outcome(forgetting), (str(column), "new")
                if await change_type(database, column, type_name):
                    assert await outcome(engine) == await outcome(forgetting), (str(column), type_name)
        assert await outcome(engine) == usual, str(column)


async def test_worker_prepares_a_batch_once(keeping: Backends) -> None:
    async def prepared() -> int:
        async with keeping.postgres.connect() as connection:
            return await connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) or 0

    await outcome(keeping.postgres)
    before = await prepared()
    await outcome(keeping.postgres)
    assert 5 < before == await prepared()


async def test_table_made_anew_is_written_to(keeping: Backends, database: AsyncEngine) -> None:
    usual = await outcome(keeping.postgres)
    await execute(database, "ALTER TABLE trip_interactions RENAME TO was")
    await execute(database, "CREATE TABLE trip_interactions (LIKE was INCLUDING ALL)")
    try:
        assert await outcome(keeping.postgres) == usual
        async with database.connect() as connection:
            assert await connection.scalar(select(TripInteraction.click_count)) == 1
    finally:
        await execute(database, "DROP TABLE trip_interactions")
        await execute(database, "ALTER TABLE was RENAME TO trip_interactions")
