"""What can't be shown, what Elasticsearch refuses, and indices that must not or can't be written to."""

from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.documents.builder import build_documents
from indexer.errors import ForeignIndexError, IncompatibleDocumentsError, NoLiveIndexError
from indexer.feed import batch
from indexer.feed.batch import process_batch
from indexer.index import bulk_writer, versions
from indexer.rebuild.reindex import reindex
from schemas.tables import DeadLetter
from tests.support.factories import CatalogueFactory
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress, indexed, waiting


async def test_invalid_row_is_dead_lettered_and_blocks_nothing(
    settings: Settings, backends: Backends, ids: dict[str, int]
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await execute(
        backends.postgres, "UPDATE trip_occurrences SET end_date = 'infinity' WHERE id = :trip", trip=ids["trip"]
    )
    await drain(backends)
    assert {trip_id: found["spots"] for trip_id, found in (await indexed(backends)).items()} == {ids["other"]: 5}
    assert await waiting(backends.postgres) == 0
    assert await dead(backends) == {ids["trip"]}
    await assert_in_sync(settings)
    await execute(
        backends.postgres, "UPDATE trip_occurrences SET end_date = start_date WHERE id = :trip", trip=ids["trip"]
    )
    await drain(backends)
    assert ids["trip"] in await indexed(backends)


async def dead(backends: Backends) -> set[int | None]:
    async with backends.postgres.connect() as connection:
        return set(await connection.scalars(select(DeadLetter.row_id)))


async def test_rejected_document_is_dead_lettered_and_blocks_nothing(
    backends: Backends, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    real = build_documents

    async def spoilt(connection: AsyncConnection, trip_ids: list[int]) -> Any:
        reading = await real(connection, trip_ids)
        reading.documents[ids["trip"]] = orjson.dumps({**orjson.loads(reading.documents[ids["trip"]]), "level": 1000})
        return reading

    with monkeypatch.context() as patch:
        patch.setattr(batch, "build_documents", spoilt)
        await drain(backends)
    assert (await indexed(backends)).keys() == {ids["other"]}
    assert await dead(backends) == {ids["trip"]}
    assert await waiting(backends.postgres) == 0


async def block(backends: Backends, name: str, *, blocked: bool) -> None:
    await backends.elasticsearch.indices.put_settings(index=name, settings={"index.blocks.write": blocked})


async def test_blocked_index_counts_attempts(
    settings: Settings, backends: Backends, ids: dict[str, int], index: str
) -> None:
    await block(backends, index, blocked=True)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    for attempt in range(2):
        found = await process_batch(backends, retry=True)
        assert found.failed_entirely
        assert [row.attempts for row in found.failed] == [attempt]
    assert (await process_batch(backends, retry=False)).claimed == []
    assert await dead(backends) == set()
    await block(backends, index, blocked=False)
    await drain(backends)
    await assert_in_sync(settings)


async def test_dropped_index_leaves_rows_in_outbox(backends: Backends, ids: dict[str, int], index: str) -> None:
    await backends.elasticsearch.indices.delete(index=index)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    found = await process_batch(backends, retry=True)
    assert found.written.live_missing
    assert await waiting(backends.postgres) == 1
    assert not await backends.elasticsearch.indices.exists(index=index)


async def test_changes_wait_for_an_index(catalogue: CatalogueFactory, backends: Backends) -> None:
    await catalogue.occurrence()
    rows = await waiting(backends.postgres)
    with pytest.raises(NoLiveIndexError):
        await process_batch(backends, retry=True)
    assert await waiting(backends.postgres) == rows > 0


async def test_incompatible_index_is_not_written(backends: Backends, ids: dict[str, int]) -> None:
    await execute(backends.postgres, "UPDATE smarttrip.index_targets SET mapping_hash = 'other'")
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 1")
    with pytest.raises(IncompatibleDocumentsError):
        await process_batch(backends, retry=True)
    assert await waiting(backends.postgres) == 2


async def test_previous_index_is_written_too(
    settings: Settings, backends: Backends, ids: dict[str, int], index: str
) -> None:
    current = (await reindex(settings, ignore_progress)).name
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await drain(backends)
    assert await indexed(backends, index) == await indexed(backends, current)


async def test_failing_previous_index_is_abandoned(
    settings: Settings, backends: Backends, ids: dict[str, int], index: str
) -> None:
    await reindex(settings, ignore_progress)
    await block(backends, index, blocked=True)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    batches = [await process_batch(backends, retry=True) for _ in range(batch.PREVIOUS_INDEX_MAX_ATTEMPTS + 1)]
    assert batches[0].failed
    assert batches[-1].written.abandoned == [index]
    assert await waiting(backends.postgres) == 0
    await assert_in_sync(settings)


async def test_dropped_previous_index_is_abandoned_at_once(
    settings: Settings, backends: Backends, ids: dict[str, int], index: str
) -> None:
    await reindex(settings, ignore_progress)
    await backends.elasticsearch.indices.delete(index=index)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    (found,) = await drain(backends)
    assert found.written.abandoned == [index]
    await assert_in_sync(settings)


async def test_restored_postgres_is_detected_before_first_batch(
    backends: Backends, ids: dict[str, int], index: str
) -> None:
    later = await versions.next_version(backends.postgres) + 3
    await bulk_writer.write(backends.elasticsearch, [index], later, {ids["trip"]: None})
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    await backends.postgres.dispose()
    with pytest.raises(ForeignIndexError):
        await process_batch(backends, retry=True)
    assert await waiting(backends.postgres) == 1
