"""Postgres is restored behind a pooler: connections stay open, and the batches themselves notice it."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from core.settings import Settings
from indexer.backends import Backends
from indexer.errors import ForeignIndexError
from indexer.feed.batch import process_batch
from indexer.index import versions
from indexer.index.outbox import DIRECT
from indexer.supervisor import IndexSupervisor
from tests.support.sync import assert_in_sync, drain, execute

SEQUENCE = "smarttrip.index_version"


async def set_back(stores: Backends, number: int) -> None:
    """As a restore of data alone does."""
    await execute(stores.postgres, f"SELECT setval('{SEQUENCE}', {number})")


async def make_anew(stores: Backends, number: int) -> None:
    """As a restore does that drops what it restores."""
    await execute(stores.postgres, f"DROP SEQUENCE {SEQUENCE}")
    await execute(stores.postgres, f"CREATE SEQUENCE {SEQUENCE}")
    await set_back(stores, number)


async def start_anew(stores: Backends, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a restore of files does: the server has another start time."""
    statement = str(versions.DATABASE_STATE).replace("pg_postmaster_start_time()", "'2001-01-01'")
    monkeypatch.setattr(versions, "DATABASE_STATE", text(statement))
    await set_back(stores, number)


@pytest.mark.parametrize("lost", [1, *(pytest.param(lost, marks=pytest.mark.slow) for lost in (2, 20))])
@pytest.mark.parametrize("restore", [set_back, make_anew, start_anew])
async def test_batch_notices_a_restored_database(
    stores: Backends,
    ids: dict[str, int],
    restore: Callable[..., Awaitable[None]],
    lost: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stores.postgres.connect() as connection:
        saved = await connection.scalar(text(f"SELECT last_value FROM {SEQUENCE}"))
    for _ in range(lost):
        await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = spots_left + 1")
        await drain(stores)
    arguments = (monkeypatch,) if restore is start_anew else ()
    await restore(stores, saved, *arguments)
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 1")
    for _ in range(2 * lost):
        with pytest.raises(ForeignIndexError):
            await process_batch(stores, [DIRECT], retry=True)


async def test_loss_of_only_the_last_batch_is_noticed(stores: Backends, ids: dict[str, int]) -> None:
    async with stores.postgres.connect() as connection:
        saved = await connection.scalar(text(f"SELECT last_value FROM {SEQUENCE}"))
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = spots_left + 1")
    await process_batch(stores, [DIRECT], retry=True)
    await set_back(stores, saved)
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 1")
    with pytest.raises(ForeignIndexError):
        await process_batch(stores, [DIRECT], retry=True)


async def test_restored_database_is_synchronized_again(
    settings: Settings, stores: Backends, ids: dict[str, int]
) -> None:
    await execute(stores.postgres, "DELETE FROM trip_occurrences WHERE id = :id", id=ids["other"])
    await drain(stores)
    await set_back(stores, 1)
    with pytest.raises(ForeignIndexError):
        await process_batch(stores, retry=True)
    await IndexSupervisor(settings, stores).check()
    await drain(stores)
    await assert_in_sync(settings)
