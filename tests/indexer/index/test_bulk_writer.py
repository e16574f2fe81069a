from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from core import clients
from core.configuration.settings import Settings
from indexer.backends import Backends
from indexer.index import admin, bulk_writer
from tests.support.sync import indexed


def document(trip_id: int, **values: Any) -> bytes:
    fields: dict[str, Any] = {
        "id": trip_id,
        "active": True,
        "country": None,
        "continent": None,
        "antarctica": False,
        "type": None,
        "themes": [],
        "level": 1,
        "start": "2027-01-01",
        "month": 1,
        "days": 1,
        "price": 100,
        "spots": 1,
        "status": "Open",
        "trip": {},
    }
    return orjson.dumps({**fields, **values})


BAD = {"level": 1000}
"""More than the mapping's type holds."""


@pytest.fixture
async def name(backends: Backends) -> str:
    """An index that nothing has been written to."""
    name = admin.new_name(backends.alias)
    await admin.create(backends.elasticsearch, name, {})
    await admin.finish_loading(backends.elasticsearch, name)
    return name


async def write(
    backends: Backends, names: Sequence[str], version: int, changes: bulk_writer.Changes
) -> list[bulk_writer.WriteOutcome]:
    outcomes = await bulk_writer.write(backends.elasticsearch, names, version, changes)
    return [outcomes[name] for name in names]


async def spots(backends: Backends, name: str) -> dict[int, int]:
    return {trip_id: found["spots"] for trip_id, found in (await indexed(backends, name)).items()}


async def test_highest_version_wins_in_any_order(backends: Backends, name: str) -> None:
    for version, left in ((5, 55), (9, 99), (7, 77)):
        (outcome,) = await write(backends, [name], version, {1: document(1, spots=left)})
        assert outcome.retryable == outcome.rejected == {}
    assert await spots(backends, name) == {1: 99}
    assert outcome.stale == 1


async def test_repeated_write_is_idempotent(backends: Backends, name: str) -> None:
    for _ in range(2):
        assert await write(backends, [name], 5, {1: document(1), 2: None}) == [bulk_writer.WriteOutcome()]
    assert (await spots(backends, name)).keys() == {1}


async def test_tombstone_rejects_older_write(backends: Backends, name: str) -> None:
    await write(backends, [name], 8, {1: None})
    (outcome,) = await write(backends, [name], 7, {1: document(1)})
    assert outcome.stale == 1
    assert await spots(backends, name) == {}


async def test_document_contains_its_version(backends: Backends, name: str) -> None:
    await write(backends, [name], (3 << 48) | 7, {1: document(1)})
    assert (await indexed(backends, name))[1]["version"] == (3 << 48) | 7


async def test_bad_document_is_rejected_alone(backends: Backends, name: str) -> None:
    changes = {1: document(1), 2: document(2, **BAD), 3: document(3)}
    (outcome,) = await write(backends, [name], 5, changes)
    assert outcome.rejected.keys() == {2}
    assert outcome.retryable == {}
    assert (await spots(backends, name)).keys() == {1, 3}


async def test_blocked_index_is_retryable(backends: Backends, name: str) -> None:
    settings = {"index.blocks.write": True}
    await backends.elasticsearch.indices.put_settings(index=name, settings=settings)
    (outcome,) = await write(backends, [name], 5, {1: document(1), 2: None})
    assert outcome.retryable.keys() == {1, 2}
    assert outcome.rejected == {}


async def test_closed_index_is_retryable(backends: Backends, name: str) -> None:
    await backends.elasticsearch.indices.close(index=name)
    (outcome,) = await write(backends, [name], 5, {1: document(1), 2: None})
    assert outcome.retryable.keys() == {1, 2}
    assert outcome.rejected == {}


async def test_write_does_not_recreate_dropped_index(backends: Backends, name: str) -> None:
    await admin.drop(backends.elasticsearch, [name])
    (outcome,) = await write(backends, [name], 5, {1: document(1), 2: None})
    assert outcome.index_missing
    assert outcome.retryable.keys() == {1, 2}
    assert not await backends.elasticsearch.indices.exists(index=name)


async def test_indices_have_separate_outcomes(backends: Backends, name: str) -> None:
    refused, written = await write(backends, [f"{backends.alias}-gone", name], 5, {1: document(1)})
    assert refused.index_missing
    assert written == bulk_writer.WriteOutcome()
    assert (await spots(backends, name)).keys() == {1}


async def test_unreachable_server_is_retryable(settings: Settings) -> None:
    async with clients.elasticsearch("http://127.0.0.1:9", max_retries=0) as es:
        outcomes = await bulk_writer.write(es, ["any"], 5, {1: document(1), 2: None})
    assert outcomes["any"].retryable.keys() == {1, 2}


async def test_large_changes_are_split_into_requests(backends: Backends, name: str) -> None:
    changes = {trip_id: document(trip_id, trip="x" * 200_000) for trip_id in range(1, 21)}
    assert len(list(bulk_writer.bodies(5, changes))) > 3
    await write(backends, [name], 5, changes)
    assert (await spots(backends, name)).keys() == changes.keys()


async def test_rejected_request_is_bisected(backends: Backends, name: str) -> None:
    good = next(bulk_writer.bodies(5, {1: document(1), 2: document(2)}))
    bad = bulk_writer.Operation(3, b'{"nonsense":{}}\n{}')
    body = bulk_writer.BulkBody(5, [*good.operations, bad])
    outcome = await bulk_writer.send(backends.elasticsearch, name, body)
    assert outcome.rejected.keys() == {3}
    assert outcome.retryable == {}
    assert (await spots(backends, name)).keys() == {1, 2}


RECORDED = {"index": {"status": 200}}
"""The last item of a bulk response: the version record in the history index."""
ERROR = {"type": "some_exception", "reason": "because"}


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503])
def test_temporary_failure_is_retryable(status: int) -> None:
    answer = {"items": [{"index": {"status": 201}}, {"index": {"status": status, "error": ERROR}}, RECORDED]}
    outcome = bulk_writer.classify(answer, [1, 2])
    assert outcome == bulk_writer.WriteOutcome(retryable={2: "some_exception: because"})


@pytest.mark.parametrize("error_type", sorted(bulk_writer.TEMPORARY))
def test_bad_request_that_says_nothing_of_documents_is_retryable(error_type: str) -> None:
    failed = {"index": {"status": 400, "error": {"type": error_type, "reason": "because"}}}
    outcome = bulk_writer.classify({"items": [failed, RECORDED]}, [1])
    assert outcome == bulk_writer.WriteOutcome(retryable={1: f"{error_type}: because"})


def test_items_are_classified_separately() -> None:
    missing = {"type": "index_not_found_exception", "reason": "no such index"}
    answers = [
        {"index": {"status": 200}},
        {"delete": {"status": 404}},
        {"index": {"status": 409, "error": ERROR}},
        {"index": {"status": 400, "error": ERROR}},
        {"delete": {"status": 429, "error": ERROR}},
        {"delete": {"status": 404, "error": missing}},
    ]
    outcome = bulk_writer.classify({"items": [*answers, RECORDED]}, [1, 2, 3, 4, 5, 6])
    assert outcome.stale == 1
    assert outcome.rejected.keys() == {4}
    assert outcome.retryable.keys() == {5, 6}
    assert outcome.index_missing


def test_write_without_version_record_is_retryable() -> None:
    answers = [{"index": {"status": 200}}, {"delete": {"status": 200}}, {"index": {"status": 503, "error": ERROR}}]
    assert bulk_writer.classify({"items": answers}, [1, 2]).retryable.keys() == {1, 2}


async def test_history_records_versions_of_deletions(backends: Backends, name: str) -> None:
    for version, changes in ((5, {1: document(1)}), (9, {1: None}), (7, {2: document(2)})):
        await write(backends, [name], version, changes)
    assert await admin.highest_version(backends.elasticsearch, name) == 9
