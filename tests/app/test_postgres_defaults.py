"""Defaults of the database change nothing: responses, documents, stored events, the comparison and the migrations.

Ranges over every setting of Postgres that sessions have.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

import migrations
from core import clients
from core.configuration.settings import Settings
from schemas.tables import DeadEvent, DeadLetter, Event
from tests.app.conftest import fill
from tests.app.test_column_types import assert_equal, open_readers
from tests.conftest import fresh_database
from tests.core.postgres.test_session_settings import nasty_values, set_defaults
from tests.migrations.databases import describe, make_bare_tables
from tests.support.rows import rows
from tests.support.sync import assert_in_sync, drain, execute
from tests.support.tracking.entries import event, request_log
from tracking.writers.batches import store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
async def rounds(settings: Settings, engine: AsyncEngine, redis: Redis) -> AsyncIterator[list[dict[str, str]]]:
    """Settings by round, with an installation that has a few trips."""
    await fill(settings, engine, redis)
    yield await nasty_values(engine)
    await execute(engine, f'ALTER DATABASE "{engine.url.database}" RESET ALL')


async def test_defaults_of_the_database_change_no_response(
    settings: Settings, engine: AsyncEngine, redis: Redis, rounds: list[dict[str, str]]
) -> None:
    async with open_readers(settings, redis) as readers:
        before = await readers.read()
    for number, values in enumerate(rounds):
        await set_defaults(engine, values)
        async with open_readers(settings, redis) as readers:
            assert_equal(await readers.read(), before)
            await store(readers.backends.postgres, [event(), request_log()])
            await execute(engine, "UPDATE trip_occurrences SET spots_left = spots_left WHERE id = 1")
            await drain(readers.backends)
        await assert_in_sync(settings)
        assert len(await rows(engine, Event)) == number + 1
    assert await rows(engine, DeadEvent) == await rows(engine, DeadLetter) == []


async def test_defaults_of_the_database_change_no_migration(
    settings: Settings, slot: int, rounds: list[dict[str, str]]
) -> None:
    expected = None
    for values in [{}, *rounds]:
        url = await fresh_database(settings.database_url, f"smarttrip_test_{slot}_defaults")
        await make_bare_tables(url)
        own = clients.postgres(url, pool_size=1)
        if values:
            await set_defaults(own, values)
        await asyncio.to_thread(migrations.upgrade, url)
        await execute(own, f'ALTER DATABASE "{own.url.database}" RESET ALL')
        await own.dispose()
        found = await describe(url)
        expected = expected or found
        assert found == expected, values
