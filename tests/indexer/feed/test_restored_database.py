"""Postgres is restored behind a pooler: connections stay open, and the batches themselves notice it."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.errors import ForeignIndexError
from indexer.feed.batch import process_batch
from indexer.index import versions
from indexer.index.outbox import DIRECT
from indexer.supervisor import IndexSupervisor
from tests.support.sync import assert_in_sync, drain, execute

SEQUENCE = "smarttrip.index_version"


async def set_back(backends: Backends, number: int) -> None:
    """As a restore of data alone does."""
    await execute(backends.postgres, f"SELECT setval('{SEQUENCE}', {number})")


async def make_anew(backends: Backends, number: int) -> None:
    """As a restore does that drops what it restores."""
    await execute(backends.postgres, f"DROP SEQUENCE {SEQUENCE}")
    await execute(backends.postgres, f"CREATE SEQUENCE {SEQUENCE}")
    await set_back(backends, number)


async def start_anew(backends: Backends, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a restore of files does: the server has another start time."""
    statement = str(versions.DATABASE_STATE).replace("pg_postmaster_start_time()", "'2001-01-01'")
    monkeypatch.setattr(versions, "DATABASE_STATE", text(statement))
    await set_back(backends, number)


@pytest.mark.parametrize("lost", [1, *(pytest.param(lost, marks=pytest.mark.slow) for lost in (2, 20))])
@pytest.mark.parametrize("restore", [set_back, make_anew, start_anew])
async def test_batch_notices_a_restored_database(
    backends: Backends,
    ids: dict[str, int],
    restore: Callable[..., Awaitable[None]],
    lost: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with backends.postgres.connect() as connection:
        saved = await connection.scalar(text(f"SELECT last_value FROM {SEQUENCE}"))
    for _ in range(lost):
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = spots_left + 1")
        await drain(backends)
    arguments = (monkeypatch,) if restore is start_anew else ()
    await restore(backends, saved, *arguments)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 1")
    for _ in range(2 * lost):
        with pytest.raises(ForeignIndexError):
            await process_batch(backends, [DIRECT], retry=True)


async def test_loss_of_only_the_last_batch_is_noticed(backends: Backends, ids: dict[str, int]) -> None:
    async with backends.postgres.connect() as connection:
        saved = await connection.scalar(text(f"SELECT last_value FROM {SEQUENCE}"))
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = spots_left + 1")
    await process_batch(backends, [DIRECT], retry=True)
    await set_back(backends, saved)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 1")
    with pytest.raises(ForeignIndexError):
        await process_batch(backends, [DIRECT], retry=True)


async def test_restored_database_is_synchronized_again(
    settings: Settings, backends: Backends, ids: dict[str, int]
) -> None:
    await execute(backends.postgres, "DELETE FROM trip_occurrences WHERE id = :id", id=ids["other"])
    await drain(backends)
    await set_back(backends, 1)
    with pytest.raises(ForeignIndexError):
        await process_batch(backends, retry=True)
    await IndexSupervisor(settings, backends).check()
    await drain(backends)
    await assert_in_sync(settings)
