"""Sessions that stand still between preparing and executing a statement are ended, and no others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core import clients
from core.concurrency.tasks import background_task
from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.errors import BatchesBlockedError
from indexer.feed.batch import process_batch
from indexer.index import frozen_sessions, locks
from indexer.index.frozen_sessions import end_frozen_sessions, end_frozen_sessions_forever
from tests.support.eventually import eventually
from tests.support.pgbouncer import BINARY, pgbouncer

SECONDS = 0.2

AGE = text("SELECT extract(epoch FROM clock_timestamp() - query_start)::float FROM pg_stat_activity WHERE pid = :pid")


async def prepare(driver: Any) -> None:
    await driver.prepare("SELECT 1")


async def stay_in_a_transaction(driver: Any) -> None:
    """Stand still between two statements: `idle_in_transaction_session_timeout` is for that."""


async def execute(driver: Any) -> None:
    await driver.execute("SELECT pg_sleep(60)")


@asynccontextmanager
async def session_of(url: str) -> AsyncIterator[AsyncConnection]:
    engine = clients.postgres(url, pool_size=1)
    async with engine.connect() as connection:
        yield connection
        await connection.invalidate()
    await engine.dispose()


@pytest.fixture
async def session(settings: Settings, database: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with session_of(settings.database_url) as connection:
        yield connection


async def driver_of(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


@pytest.mark.parametrize(("do", "is_ended"), [(prepare, True), (stay_in_a_transaction, False), (execute, False)])
async def test_session_is_ended_if_it_does_not_execute_what_it_prepared(
    database: AsyncEngine, session: AsyncConnection, do: Callable[[Any], Awaitable[None]], is_ended: bool
) -> None:
    pid = await session.scalar(text("SELECT pg_backend_pid()"))
    async with background_task(do(await driver_of(session))), database.connect() as other:  # type: ignore[arg-type]

        async def is_old() -> bool:
            return bool(await other.scalar(AGE, {"pid": pid}) > SECONDS)

        await eventually(is_old)
        ended = await end_frozen_sessions(other, SECONDS)
    assert ended == ([pid] if is_ended else [])


@pytest.mark.skipif(BINARY is None, reason="needs PgBouncer: apt-get install pgbouncer")
async def test_frozen_session_behind_a_pooler_is_ended(settings: Settings, database: AsyncEngine) -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with (
            pgbouncer(settings.database_url, Path(folder) / "pgbouncer") as pooler,
            session_of(pooler.url) as session,
            session_of(pooler.url) as other,
        ):
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            await prepare(await driver_of(session))

            async def is_ended() -> bool:
                return pid in await end_frozen_sessions(other, SECONDS)

            await eventually(is_ended)


async def hold_the_lock(session: AsyncConnection) -> None:
    with suppress(BatchesBlockedError):
        async with locks.batches_excluded(session):
            await prepare(await driver_of(session))
            await asyncio.Event().wait()


async def test_batch_goes_on_once_a_frozen_rebuild_is_ended(
    backends: Backends, ids: dict[str, int], session: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen_sessions, "FROZEN_SECONDS", SECONDS)
    holding = asyncio.create_task(hold_the_lock(session))
    async with backends.postgres.connect() as connection:
        await eventually(lambda: is_blocked(connection))
    async with background_task(end_frozen_sessions_forever(backends.postgres)):
        await process_batch(backends, retry=True)
    holding.cancel()


async def is_blocked(connection: AsyncConnection) -> bool:
    free = await connection.scalar(text("SELECT pg_try_advisory_xact_lock_shared(:key)"), {"key": locks.BATCH_LOCK})
    await connection.rollback()
    return not free
