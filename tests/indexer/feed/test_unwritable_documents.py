"""A document that Elasticsearch never takes is dead-lettered after a bounded time, unless it takes none at all."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.feed import batch
from indexer.feed.batch import process_batch
from indexer.index import bulk_writer
from indexer.index.bulk_writer import BulkBody, WriteOutcome
from indexer.rebuild import loader
from indexer.rebuild.reindex import reindex
from schemas.tables import DeadLetter
from tests.support.sync import assert_in_sync, drain, execute, ignore_progress, indexed, waiting

TOO_MANY = "429: circuit_breaking_exception: data too large"


def refuse(monkeypatch: pytest.MonkeyPatch, is_refused: Callable[[bytes], bool]) -> None:
    """Have Elasticsearch answer 429 to each bulk request with such a document."""
    send = bulk_writer._send_whole

    async def reject(es: Any, name: str, body: BulkBody, shard_timeout: str) -> WriteOutcome:
        if any(is_refused(operation.lines) for operation in body.operations):
            return WriteOutcome(retryable=dict.fromkeys(body.ids, TOO_MANY))
        return await send(es, name, body, shard_timeout)

    monkeypatch.setattr(bulk_writer, "_send_whole", reject)


async def dead(backends: Backends) -> dict[int | None, str]:
    async with backends.postgres.connect() as connection:
        found = await connection.execute(select(DeadLetter.row_id, DeadLetter.error))
        return {row.row_id: row.error for row in found}


async def test_unwritable_document_is_dead_lettered_and_cleared(
    settings: Settings, backends: Backends, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    one_less = batch.MAX_ATTEMPTS - 1
    await execute(backends.postgres, "UPDATE smarttrip.outbox SET attempts = :attempts", attempts=one_less)
    with monkeypatch.context() as patch:
        refuse(patch, lambda lines: b'"_id":"%d"' % ids["trip"] in lines and b'"spots":5' in lines)
        batches = [await process_batch(backends, retry=True) for _ in range(2)]
    assert [len(found.failed) for found in batches] == [2, 0]
    assert await dead(backends) == {ids["trip"]: TOO_MANY}
    assert await waiting(backends.postgres) == 0
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 6")
    await drain(backends)
    assert await dead(backends) == {}
    await assert_in_sync(settings)


async def test_index_that_takes_nothing_dead_letters_nothing(
    settings: Settings, backends: Backends, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await execute(backends.postgres, "UPDATE smarttrip.outbox SET attempts = :attempts", attempts=batch.MAX_ATTEMPTS)
    with monkeypatch.context() as patch:
        refuse(patch, lambda lines: True)
        assert (await process_batch(backends, retry=True)).failed_entirely
    assert await dead(backends) == {}
    await drain(backends)
    await assert_in_sync(settings)


async def test_unwritable_document_ends_no_reindex(
    settings: Settings, backends: Backends, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "ATTEMPTS", 2)
    refuse(monkeypatch, lambda lines: b'"_id":"%d"' % ids["trip"] in lines)
    report = await reindex(settings, ignore_progress)
    assert report.refused == {ids["trip"]: TOO_MANY}
    assert (await indexed(backends)).keys() == {ids["other"]}
