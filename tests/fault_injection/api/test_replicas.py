"""Reads from a Postgres replica that follows, lags and loses its primary."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from sqlalchemy import text

from app.backends.database import Database
from core import clients
from core.configuration.settings import load_settings
from scripts.dev_stack.postgres import POSTGRES
from scripts.drill.servers import server, standby
from tests.support.eventually import eventually

pytestmark = pytest.mark.slow

MAX_LAG = 1.0


@dataclass(frozen=True)
class Pair:
    """Addresses of the two servers."""

    primary: str
    replica: str


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with server(POSTGRES) as primary, standby(primary) as replica:
        await replica.start()
        await fetch_value(primary.url, "CREATE TABLE notes (number int)")

        async def is_replicated() -> bool:
            return bool(await fetch_value(replica.url, "SELECT to_regclass('notes') IS NOT NULL"))

        await eventually(is_replicated, within=20)
        yield Pair(primary.url, replica.url)


async def fetch_value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@pytest.fixture
async def database(pair: Pair) -> AsyncIterator[Database]:
    settings = load_settings(database_url=pair.primary, database_replica_urls=[pair.replica])
    primary, (replica,) = settings.database_url, settings.database_replica_urls
    database = Database(clients.postgres(primary), [clients.postgres(replica)], max_lag=MAX_LAG)
    await eventually(lambda: reads_from_replica(database))
    yield database
    await database.close()


async def reads_from_replica(database: Database) -> bool:
    async with database.read() as session:
        return bool(await session.scalar(text("SELECT pg_is_in_recovery()")))


async def reads_from_primary(database: Database) -> bool:
    return not await reads_from_replica(database)


async def count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(text("SELECT count(*) FROM notes")) or 0


async def test_write_is_soon_read(database: Database) -> None:
    before = await count(database)
    async with database.write() as session:
        await session.execute(text("INSERT INTO notes VALUES (1)"))

    async def is_read() -> bool:
        return await count(database) == before + 1

    await eventually(is_read)
    await eventually(lambda: reads_from_replica(database), within=10)


async def test_lagging_replica_is_skipped(database: Database, pair: Pair) -> None:
    await fetch_value(pair.replica, "SELECT pg_wal_replay_pause()")
    before = await count(database)
    await fetch_value(pair.primary, "INSERT INTO notes VALUES (2)")
    await eventually(lambda: reads_from_primary(database), within=10)
    assert await count(database) == before + 1
    await fetch_value(pair.replica, "SELECT pg_wal_replay_resume()")
    await eventually(lambda: reads_from_replica(database), within=10)
    assert await count(database) == before + 1


async def test_disconnected_replica_is_skipped(database: Database, pair: Pair) -> None:
    """A replica that has lost its primary does not know that it lags."""
    conninfo = await fetch_value(pair.replica, "SHOW primary_conninfo")
    await fetch_value(pair.replica, "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
    await fetch_value(pair.replica, "SELECT pg_reload_conf()")
    await eventually(lambda: reads_from_primary(database), within=15)
    await fetch_value(pair.replica, f"ALTER SYSTEM SET primary_conninfo = $${conninfo}$$")
    await fetch_value(pair.replica, "SELECT pg_reload_conf()")
    await eventually(lambda: reads_from_replica(database), within=30)


async def test_promoted_replica_is_skipped(pair: Pair) -> None:
    """The last test of this module: the replica stays promoted."""
    database = Database(clients.postgres(pair.primary), [clients.postgres(pair.replica)], max_lag=MAX_LAG)
    await eventually(lambda: reads_from_replica(database), within=30)
    await fetch_value(pair.replica, "SELECT pg_promote()")
    before = await count(database)
    await fetch_value(pair.replica, "INSERT INTO notes VALUES (3)")
    await eventually(lambda: database._replicas.pick() is None, within=15)
    assert await count(database) == before
    await database.close()
