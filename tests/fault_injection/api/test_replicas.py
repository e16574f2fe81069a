"""A real replica, that follows, lags and fails."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from app.backends.database import Database
from core import clients
from core.settings import load_settings
from tests.fault_injection.api.postgres_pair import Pair, ask, postgres_pair
from tests.support.eventually import eventually

pytestmark = pytest.mark.slow

MAX_LAG = 1.0


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Pair]:
    async with postgres_pair() as pair:
        await ask(pair.primary, "CREATE TABLE notes (number int)")

        async def arrived() -> bool:
            return bool(await ask(pair.replica, "SELECT to_regclass('notes') IS NOT NULL"))

        await eventually(arrived, within=20)
        yield pair


@pytest.fixture
async def database(pair: Pair) -> AsyncIterator[Database]:
    settings = load_settings(database_url=pair.primary, database_replica_urls=[pair.replica])
    primary, (replica,) = settings.database_url, settings.database_replica_urls
    database = Database(clients.postgres(primary), [clients.postgres(replica)], max_lag=MAX_LAG)
    await eventually(lambda: reads_from_the_replica(database))
    yield database
    await database.close()


async def reads_from_the_replica(database: Database) -> bool:
    async with database.read() as session:
        return bool(await session.scalar(text("SELECT pg_is_in_recovery()")))


async def reads_from_the_primary(database: Database) -> bool:
    return not await reads_from_the_replica(database)


async def count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(text("SELECT count(*) FROM notes")) or 0


async def test_what_is_written_is_soon_read(database: Database) -> None:
    before = await count(database)
    async with database.write() as session:
        await session.execute(text("INSERT INTO notes VALUES (1)"))

    async def arrived() -> bool:
        return await count(database) == before + 1

    await eventually(arrived)
    await eventually(lambda: reads_from_the_replica(database), within=10)


async def test_a_replica_that_lags_is_left_out_until_it_has_caught_up(database: Database, pair: Pair) -> None:
    await ask(pair.replica, "SELECT pg_wal_replay_pause()")
    before = await count(database)
    await ask(pair.primary, "INSERT INTO notes VALUES (2)")
    await eventually(lambda: reads_from_the_primary(database), within=10)
    assert await count(database) == before + 1
    await ask(pair.replica, "SELECT pg_wal_replay_resume()")
    await eventually(lambda: reads_from_the_replica(database), within=10)
    assert await count(database) == before + 1


async def test_a_replica_that_no_longer_hears_the_primary_is_left_out_however_complete_it_looks(
    database: Database, pair: Pair
) -> None:
    conninfo = await ask(pair.replica, "SHOW primary_conninfo")
    await ask(pair.replica, "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
    await ask(pair.replica, "SELECT pg_reload_conf()")
    await eventually(lambda: reads_from_the_primary(database), within=15)
    await ask(pair.replica, f"ALTER SYSTEM SET primary_conninfo = $${conninfo}$$")
    await ask(pair.replica, "SELECT pg_reload_conf()")
    await eventually(lambda: reads_from_the_replica(database), within=30)
