"""Indexes of several document versions side by side; workers of other versions are stood in for by their tables."""

import asyncio
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from core.concurrency.tasks import cancel_and_wait
from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.errors import OtherReleaseIndexError
from indexer.feed.batch import process_batch
from indexer.feed.consumer import OutboxConsumer
from indexer.feed.notifier import ChangeNotifier
from indexer.index import outbox, targets
from indexer.index.admin import indices_of, live_index, swap_alias
from indexer.index.outbox import BACKLOG, DIRECT
from indexer.index.reconcile import rebuild_connection
from indexer.index.worker_heartbeat import lacks_running_worker
from indexer.rebuild.retention import drop_unfed_indices
from indexer.rebuild.rollback import rollback
from schemas.index_document import DOCUMENT_VERSION
from schemas.tables import OutboxCopy
from tests.support.eventually import eventually
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, execute, indexed, waiting

OWN, OTHER = str(DOCUMENT_VERSION), "other"


@pytest.fixture
async def other(settings: Settings, backends: Backends, ids: dict[str, int]) -> str:
    """Name of a live index of another document version, which is registered and activated last."""
    name = f"{settings.elasticsearch_alias}-vother-20261124000000000000"
    await backends.elasticsearch.options(ignore_status=404).indices.delete(index=name)
    await backends.elasticsearch.indices.create(index=name)
    await execute(
        backends.postgres,
        "INSERT INTO smarttrip.index_targets (name, state, mapping_hash) VALUES (:name, 'live', :version)",
        name=name,
        version=OTHER,
    )
    return name


async def copies(engine: AsyncEngine) -> list[tuple[str, int]]:
    """Return document version and departure of all copies, oldest first."""
    async with engine.connect() as connection:
        query = select(OutboxCopy.document_version, OutboxCopy.row_id).order_by(OutboxCopy.id.desc())
        return [(version, row_id) for version, row_id in await connection.execute(query)]


async def add_copies(backends: Backends, row_ids: Sequence[int], version: str = OTHER, *, seconds_old: int = 0) -> None:
    for row_id in row_ids:
        await execute(
            backends.postgres,
            "INSERT INTO smarttrip.outbox_copies (document_version, row_id, created_at)"
            " VALUES (:version, :row_id, now() - make_interval(secs => :age))",
            version=version,
            row_id=row_id,
            age=seconds_old,
        )


@pytest.mark.usefixtures("other")
async def test_change_is_copied_for_each_version(settings: Settings, backends: Backends, ids: dict[str, int]) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 3 WHERE id = :id", id=ids["trip"])
    await drain(backends)
    assert (await indexed(backends))[ids["trip"]]["spots"] == 3
    assert await copies(backends.postgres) == [(OTHER, ids["trip"])]
    await assert_in_sync(settings)


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("kind", ["company", "country", "type", "tag", "guide", "template"])
async def test_upstream_change_is_copied_for_each_version(backends: Backends, ids: dict[str, int], kind: str) -> None:
    async with backends.postgres.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO smarttrip.outbox (kind, row_id) VALUES ($1, $2)", (kind, ids[kind])
        )
    await drain(backends)
    assert await copies(backends.postgres) == [(OTHER, ids["trip"])]


@pytest.mark.usefixtures("other")
async def test_change_of_everything_is_copied_for_each_version(backends: Backends, ids: dict[str, int]) -> None:
    await execute(backends.postgres, "TRUNCATE trip_occurrences CASCADE")
    await drain(backends)
    assert set(await copies(backends.postgres)) == {(OTHER, ids["trip"]), (OTHER, ids["other"])}
    assert not await indexed(backends)


@pytest.mark.usefixtures("other")
async def test_copy_is_retried_while_own_index_fails(backends: Backends, index: str, ids: dict[str, int]) -> None:
    """The other version does not wait for an index that cannot be written to."""
    await backends.elasticsearch.indices.put_settings(index=index, settings={"index.blocks.write": True})
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 3 WHERE id = :id", id=ids["trip"])
    batch = await process_batch(backends, retry=True)
    await backends.elasticsearch.indices.put_settings(index=index, settings={"index.blocks.write": None})
    assert batch.failed_entirely
    assert set(await copies(backends.postgres)) == {(OWN, ids["trip"]), (OTHER, ids["trip"])}
    assert (await process_batch(backends, retry=False)).claimed == []
    await drain(backends)
    assert (await indexed(backends))[ids["trip"]]["spots"] == 3


async def test_own_copies_are_processed_after_other_index_is_gone(backends: Backends, ids: dict[str, int]) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 3 WHERE id = :id", id=ids["trip"])
    await execute(backends.postgres, "DELETE FROM smarttrip.outbox")
    await add_copies(backends, [ids["trip"]], OWN)
    await drain(backends)
    assert (await indexed(backends))[ids["trip"]]["spots"] == 3
    assert await copies(backends.postgres) == []


async def test_backlog_counts_own_copies_only(backends: Backends, ids: dict[str, int]) -> None:
    await add_copies(backends, [1, 2], OWN)
    await add_copies(backends, [1, 2, 3])
    async with backends.postgres.connect() as connection:
        assert (await connection.execute(BACKLOG)).one().rows == 2


async def test_outdated_copies_are_purged(backends: Backends, other: str) -> None:
    await add_copies(backends, [1, 2, 1, 1])
    await add_copies(backends, [5], "gone")
    async with backends.postgres.begin() as connection:
        await outbox.purge_copies(connection)
    assert await copies(backends.postgres) == [(OTHER, 2), (OTHER, 1)]


async def test_locked_copies_are_not_purged(backends: Backends, other: str) -> None:
    """A batch that claimed the latest copy may have read Postgres before the change of an earlier one."""
    await add_copies(backends, [1, 1])
    async with backends.postgres.begin() as claiming, backends.postgres.begin() as connection:
        await claiming.exec_driver_sql("SELECT FROM smarttrip.outbox_copies ORDER BY id LIMIT 1 FOR UPDATE")
        await outbox.purge_copies(connection)
    assert await copies(backends.postgres) == [(OTHER, 1), (OTHER, 1)]


async def test_index_without_worker_is_unfed_once_a_change_waits(backends: Backends, ids: dict[str, int]) -> None:
    async def unfed() -> bool:
        async with backends.postgres.begin() as connection:
            return await lacks_running_worker(connection)

    await add_copies(backends, [ids["trip"]], OWN, seconds_old=60)
    assert not await unfed()
    await execute(backends.postgres, "UPDATE smarttrip.index_targets SET fed_at = now() - interval '1 minute'")
    assert await unfed()
    async with backends.postgres.begin() as connection:
        await targets.record_fed(connection)
    assert not await unfed()


async def test_index_of_other_version_is_retained_while_it_is_fed(
    settings: Settings, backends: Backends, other: str, ids: dict[str, int]
) -> None:
    aged = "UPDATE smarttrip.index_targets SET fed_at = now() - make_interval(hours => :hours)"
    await execute(backends.postgres, aged, hours=23)
    assert await drop_unfed_indices(settings) == []
    await execute(backends.postgres, aged, hours=25)
    assert await drop_unfed_indices(settings) == [other]
    assert not await backends.elasticsearch.indices.exists(index=other)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 3 WHERE id = :id", id=ids["trip"])
    await drain(backends)
    assert (await copies(backends.postgres), await waiting(backends.postgres)) == ([], 0)


async def test_rollback_activates_own_index_after_other_release(
    settings: Settings, backends: Backends, index: str, other: str
) -> None:
    public = settings.elasticsearch_alias
    await swap_alias(backends.elasticsearch, f"{public}-vother", None, other, public)
    assert await rollback(settings) == index
    assert await indices_of(backends.elasticsearch, public) == [index]
    assert await live_index(backends.elasticsearch, backends.alias) == index


async def test_rollback_names_the_index_of_the_release_before(
    settings: Settings, catalogue: CatalogueFactory, other: str
) -> None:
    with pytest.raises(OtherReleaseIndexError, match=f"{other}, has documents of version {OTHER}"):
        await rollback(settings)


async def test_running_rebuild_counts_as_progress(settings: Settings, backends: Backends, redis: Redis) -> None:
    """A worker that waits for its first index is not stuck: a restart would begin the rebuild anew."""
    consumer = OutboxConsumer(backends, DIRECT, ChangeNotifier(backends, redis), lambda: None)
    consumer.progressed_at = 0.0
    running = asyncio.create_task(consumer.run())
    try:
        async with rebuild_connection(settings):
            await eventually(lambda: consumer.progressed_at > 0)
    finally:
        await cancel_and_wait([running])
