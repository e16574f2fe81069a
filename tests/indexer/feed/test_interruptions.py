"""Batches that are killed, cancelled, concurrent or stalled at any step lose no change and restore no deleted row."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.feed import batch
from indexer.feed.batch import BatchStalledError, process_batch
from indexer.index import bulk_writer, outbox
from indexer.index.locks import STALLED_AFTER
from indexer.index.outbox import BatchLimits
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, execute, indexed, trip, waiting


@dataclass
class Sync:
    settings: Settings
    backends: Backends
    ids: dict[str, int]


@pytest.fixture
def sync(settings: Settings, backends: Backends, ids: dict[str, int]) -> Sync:
    return Sync(settings, backends, ids)


class Killed(BaseException):
    """A BaseException, which nothing catches, as nothing catches SIGKILL."""


def deadly(step: Callable[..., Awaitable[Any]], moment: str) -> Any:
    """Return the step as if the process were killed "before" or "after" it."""

    async def die(*arguments: Any, **options: Any) -> None:
        if moment == "after":
            await step(*arguments, **options)
        raise Killed

    return die


@pytest.fixture(params=["before", "after"])
def kill(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Return a function that makes a step die before or after it is done."""
    return lambda step: deadly(step, request.param)


@pytest.mark.parametrize(
    ("module", "step"),
    [(outbox, "claim"), (bulk_writer, "write"), (outbox, "remove")],
    ids=["claim", "write", "remove"],
)
async def test_killed_batch_loses_nothing(
    sync: Sync, monkeypatch: pytest.MonkeyPatch, kill: Callable[[Any], Any], module: Any, step: str
) -> None:
    await execute(sync.backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await execute(sync.backends.postgres, "DELETE FROM trip_occurrences WHERE id = :other", other=sync.ids["other"])
    with monkeypatch.context() as patch:
        patch.setattr(module, step, kill(getattr(module, step)))
        with pytest.raises(Killed):
            await process_batch(sync.backends, retry=True)
    assert await waiting(sync.backends.postgres) == 3
    await drain(sync.backends)
    assert (await trip(sync.backends, sync.ids["trip"]))["spotsLeft"] == 5
    await assert_in_sync(sync.settings)


async def test_cancelled_batch_loses_nothing(
    settings: Settings, backends: Backends, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    reached = asyncio.Event()

    async def stuck(*arguments: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(bulk_writer, "write", stuck)
        task = asyncio.create_task(process_batch(backends, retry=True))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await drain(backends)
    await assert_in_sync(settings)


async def test_concurrent_batches_claim_different_rows(
    settings: Settings, catalogue: CatalogueFactory, backends: Backends, ids: dict[str, int]
) -> None:
    limits = BatchLimits(oldest=7, newest=3)
    for _ in range(20):
        await catalogue.occurrence(trip_template_id=ids["template"])
    for left in range(5):
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = :left", left=left)
    claimed: list[int] = []

    async def worker() -> None:
        while (found := await process_batch(backends, limits=limits, retry=True)).claimed:
            claimed.extend(row.id for row in found.claimed)

    await asyncio.gather(worker(), worker(), worker())
    await drain(backends)
    assert len(claimed) == len(set(claimed))
    await assert_in_sync(settings)


async def test_change_during_batch_is_not_lost(
    settings: Settings, backends: Backends, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    real = bulk_writer.write

    async def write(*arguments: Any) -> Any:
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 6")
        return await real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(bulk_writer, "write", write)
        await process_batch(backends, retry=True)
    assert await waiting(backends.postgres) == 2
    await drain(backends)
    assert (await trip(backends, ids["trip"]))["spotsLeft"] == 6
    await assert_in_sync(settings)


async def test_batch_stalled_before_write_is_aborted(
    settings: Settings, backends: Backends, ids: dict[str, int]
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    with pytest.raises(BatchStalledError):
        await process_batch(backends, limits=BatchLimits(stalled_after=0.0), retry=True)
    assert (await trip(backends, ids["trip"]))["spotsLeft"] != 5
    await drain(backends)
    await assert_in_sync(settings)


async def test_batch_stalled_in_write_restores_no_deleted_document(
    settings: Settings, backends: Backends, ids: dict[str, int], index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker handles the deletion, and Elasticsearch removes the tombstone, before the old write arrives."""
    await backends.elasticsearch.indices.put_settings(index=index, settings={"index.gc_deletes": "0s"})
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    real = bulk_writer.write

    async def late(*arguments: Any) -> Any:
        await execute(backends.postgres, "DELETE FROM trip_occurrences WHERE id = :trip", trip=ids["trip"])
        with monkeypatch.context() as patch:
            patch.setattr(bulk_writer, "write", real)
            await process_batch(backends, retry=True)
        await backends.elasticsearch.indices.forcemerge(index=index)
        stall.setattr(batch, "monotonic", lambda: monotonic() + STALLED_AFTER)
        return await real(*arguments)

    with monkeypatch.context() as stall, monkeypatch.context() as patch:
        patch.setattr(bulk_writer, "write", late)
        await process_batch(backends, retry=True)
    await drain(backends)
    assert ids["trip"] not in await indexed(backends)
    await assert_in_sync(settings)
