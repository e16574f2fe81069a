import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from core.concurrency.tasks import cancel_and_wait
from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.errors import ReindexMismatchError, ReindexRunningError
from indexer.feed.batch import process_batch
from indexer.index import admin
from indexer.index.admin import all_names, live_index
from indexer.index.targets import TargetState
from indexer.rebuild import checksums, loader
from indexer.rebuild import reindex as module
from indexer.rebuild.progress import Progress, read_progress
from indexer.rebuild.reindex import ReindexReport
from schemas.index_document import DOCUMENT_VERSION
from schemas.tables import IndexTarget
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress, indexed, waiting


async def reindex(settings: Settings, progress: Callable[[Progress], None]) -> ReindexReport:
    """Reindex in chunks so small that several are loaded."""
    return await module.reindex(settings, progress, chunk_size=4)


async def known(backends: Backends) -> dict[str, str]:
    async with backends.postgres.connect() as connection:
        rows = await connection.execute(select(IndexTarget.name, IndexTarget.state))
        return {row.name: row.state for row in rows}


async def assert_no_leftovers(backends: Backends) -> None:
    """Assert that each index is registered in Postgres, and that the alias points to the live one."""
    states = await known(backends)
    assert await all_names(backends.elasticsearch, backends.alias) == states.keys()
    in_use = [name for name, state in states.items() if state == TargetState.LIVE]
    assert in_use == [await live_index(backends.elasticsearch, backends.alias)]
    assert TargetState.BUILDING not in states.values()


async def test_first_reindex_creates_index(settings: Settings, backends: Backends, trips: list[int]) -> None:
    report = await reindex(settings, ignore_progress)
    assert (report.previous, report.documents, report.refused) == (None, len(trips), {})
    assert (await indexed(backends)).keys() == set(trips)
    await drain(backends)
    await assert_in_sync(settings)
    await assert_no_leftovers(backends)


async def test_progress_is_reported_from_start_to_end(settings: Settings, trips: list[int]) -> None:
    reports: list[Progress] = []
    await reindex(settings, reports.append)
    assert (reports[0].done, reports[0].total) == (0, len(trips))
    assert (reports[-1].done, reports[-1].total) == (len(trips), len(trips))
    assert [step.done for step in reports] == sorted(step.done for step in reports)


async def test_progress_is_published(
    settings: Settings, trips: list[int], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await read_progress(redis) is None
    await reindex(settings, ignore_progress)
    body = await read_progress(redis)
    assert body is not None
    assert (body["state"], body["done"], body["total"]) == ("done", len(trips), len(trips))


async def test_only_one_previous_index_is_retained(settings: Settings, backends: Backends, trips: list[int]) -> None:
    names = [(await reindex(settings, ignore_progress)).name for _ in range(3)]
    assert await known(backends) == {names[1]: TargetState.PREVIOUS, names[2]: TargetState.LIVE}
    await assert_no_leftovers(backends)


async def test_index_stores_its_origin(settings: Settings, backends: Backends, trips: list[int]) -> None:
    meta = await admin.meta(backends.elasticsearch, (await reindex(settings, ignore_progress)).name)
    assert meta["document_version"] == DOCUMENT_VERSION
    assert meta["timeline"] >= 1


async def test_invalid_departure_is_reported_and_left_out(
    settings: Settings, backends: Backends, trips: list[int]
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET end_date = 'infinity' WHERE id = :id", id=trips[7])
    report = await reindex(settings, ignore_progress)
    assert report.refused.keys() == {trips[7]}
    assert (await indexed(backends)).keys() == set(trips) - {trips[7]}


@asynccontextmanager
async def writers(settings: Settings, backends: Backends, trips: list[int]) -> AsyncIterator[None]:
    """Change, delete and insert rows continuously, and process the outbox."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # to reproduce a failure
    chance = random.Random(seed)
    statements = (
        "UPDATE trip_occurrences SET spots_left = spots_left + 1 WHERE id = :id",
        "UPDATE trip_templates SET base_price = base_price + 1",
        "DELETE FROM trip_occurrences WHERE id = :id",
        "INSERT INTO trip_occurrences (id, trip_template_id, start_date, end_date, spots_left)"
        " SELECT :id, id, '2027-05-01', '2027-05-09', 4 FROM trip_templates LIMIT 1 ON CONFLICT DO NOTHING",
    )

    async def write() -> None:
        while True:
            statement = chance.choice(statements)
            values = {"id": chance.choice(trips)} if ":id" in statement else {}
            await execute(backends.postgres, statement, **values)

    async def follow() -> None:
        while True:
            if not (await process_batch(backends, retry=True)).claimed:
                await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(work) for work in (write(), follow(), follow())]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        await cancel_and_wait(tasks)


async def test_change_during_reindex_is_not_lost(settings: Settings, backends: Backends, trips: list[int]) -> None:
    await reindex(settings, ignore_progress)
    async with writers(settings, backends, trips):
        for _ in range(3):
            await reindex(settings, ignore_progress)
    await drain(backends)
    await assert_in_sync(settings)
    await assert_no_leftovers(backends)


async def test_change_without_worker_is_not_lost(
    settings: Settings, backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = admin.finish_loading

    async def serve(*arguments: Any) -> None:
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 99 WHERE id = :id", id=trips[0])
        await execute(backends.postgres, "UPDATE trip_templates SET base_price = 77")
        await execute(backends.postgres, "DELETE FROM trip_occurrences WHERE id = :id", id=trips[1])
        await real(*arguments)

    monkeypatch.setattr(admin, "finish_loading", serve)
    await reindex(settings, ignore_progress)
    assert await waiting(backends.postgres) > 0
    await drain(backends)
    await assert_in_sync(settings)


async def test_truncate_during_reindex_empties_index(
    settings: Settings, backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = admin.finish_loading

    async def serve(*arguments: Any) -> None:
        await execute(backends.postgres, "TRUNCATE trip_occurrences CASCADE")
        await real(*arguments)

    monkeypatch.setattr(admin, "finish_loading", serve)
    await reindex(settings, ignore_progress)
    await drain(backends)
    assert await indexed(backends) == {}


async def test_concurrent_reindex_is_rejected(
    settings: Settings, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()
    real = loader.BulkLoader.run

    async def run(self: loader.BulkLoader) -> None:
        started.set()
        await may_end.wait()
        await real(self)

    monkeypatch.setattr(loader.BulkLoader, "run", run)
    first = asyncio.create_task(reindex(settings, ignore_progress))
    await started.wait()
    with pytest.raises(ReindexRunningError):
        await reindex(settings, ignore_progress)
    may_end.set()
    assert (await first).documents == len(trips)


async def test_differing_index_is_not_activated(
    settings: Settings, backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await reindex(settings, ignore_progress)).name
    await drain(backends)
    real = admin.finish_loading

    async def lose_one(es: Any, name: str) -> None:
        await es.delete(index=name, id=str(trips[3]))
        await real(es, name)

    with monkeypatch.context() as patch:
        patch.setattr(admin, "finish_loading", lose_one)
        with pytest.raises(
            ReindexMismatchError, match=f"documents {len(trips) - 1} in the index, {len(trips)} in Postgres"
        ):
            await reindex(settings, ignore_progress)
    assert await live_index(backends.elasticsearch, backends.alias) == before
    await assert_no_leftovers(backends)
    await assert_in_sync(settings)


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        ("UPDATE trip_occurrences SET spots_left = spots_left + 1", "spots"),
        ("UPDATE trip_occurrences SET end_date = end_date + 1", "days"),
        ("UPDATE trip_occurrences SET start_date = start_date - 1, end_date = end_date - 1", "start"),
        ("UPDATE trip_occurrences SET start_date = start_date - 31, end_date = end_date - 31", "month"),
        ("UPDATE trip_occurrences SET price_override = 0.01", "price"),
        ("UPDATE trip_templates SET difficulty_level = 5", "level"),
        ("UPDATE trip_templates SET is_active = false", "active"),
        ("UPDATE trip_templates SET primary_country_id = NULL", "country"),
        ("DELETE FROM trip_template_tags", "themes"),
    ],
)
async def test_checksums_detect_differences(
    settings: Settings, backends: Backends, trips: list[int], statement: str, field: str
) -> None:
    name = (await reindex(settings, ignore_progress)).name
    await execute(backends.postgres, statement)
    async with backends.postgres.connect() as connection:
        rows = await checksums.database_checksums(connection, set())
        without = await checksums.pending_departures(connection)
    documents = await checksums.index_checksums(backends.elasticsearch, name, set())
    assert any(found.startswith(f"{field} ") for found in checksums.diff(rows, documents))
    assert without == set(trips)


async def test_checksums_leave_out_pending_departures(settings: Settings, backends: Backends, trips: list[int]) -> None:
    name = (await reindex(settings, ignore_progress)).name
    await drain(backends)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 99 WHERE id = :id", id=trips[0])
    async with backends.postgres.connect() as connection:
        waits = await checksums.pending_departures(connection)
        assert waits == {trips[0]}
        rows = await checksums.database_checksums(connection, waits)
    documents = await checksums.index_checksums(backends.elasticsearch, name, waits)
    assert rows["documents"] == len(trips) - 1
    assert checksums.diff(rows, documents) == []


@pytest.mark.parametrize("kind", ["template", "guide", "tag"])
async def test_pending_departures_exceed_parameter_limit(backends: Backends, trips: list[int], kind: str) -> None:
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.outbox (kind, row_id) SELECT :kind, id FROM generate_series(1, 40000) AS id",
        kind=kind,
    )
    async with backends.postgres.connect() as connection:
        assert await checksums.pending_departures(connection) == set(trips)


async def test_rate_limits_load(settings: Settings, trips: list[int]) -> None:
    slow = settings.model_copy(update={"reindex_rate": 25.0})
    reports: list[Progress] = []
    await reindex(slow, reports.append)
    assert reports[-1].seconds > 0.9


async def test_index_lost_during_build_is_not_activated(
    settings: Settings, backends: Backends, trips: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await reindex(settings, ignore_progress)).name
    real = admin.finish_loading

    async def forget(es: Any, name: str) -> None:
        await real(es, name)
        await execute(backends.postgres, "DELETE FROM smarttrip.index_targets WHERE name = :name", name=name)

    monkeypatch.setattr(admin, "finish_loading", forget)
    with pytest.raises(ReindexMismatchError, match="was lost"):
        await reindex(settings, ignore_progress)
    assert await live_index(backends.elasticsearch, backends.alias) == before
