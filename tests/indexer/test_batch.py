"""Changes by plain SQL, as the platform's writers make them, followed into the index."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from indexer import batch, bulk, outbox, versions
from indexer.batch import process
from indexer.documents import read_documents
from indexer.errors import ForeignIndex, NoLiveIndex, OtherDocuments
from indexer.reindex import reindex
from indexer.stores import Stores
from schemas.settings import Settings
from schemas.tables import DeadLetter, TripTemplateTag
from tests.catalogue import Catalogue
from tests.indexer.sync import assert_in_sync, drain, execute, indexed, unheard, waiting


@pytest.fixture
async def ids(catalogue: Catalogue, stores: Stores, index: str) -> dict[str, int]:
    """Of one departure and all that it shows, in an index that is in sync; and of a departure that shows none of it."""
    ids = {
        "company": await catalogue.company(),
        "country": await catalogue.country(),
        "type": await catalogue.trip_type(),
        "tag": await catalogue.tag(),
        "guide": await catalogue.guide(),
    }
    ids["template"] = await catalogue.template(
        company_id=ids["company"], primary_country_id=ids["country"], trip_type_id=ids["type"], tags=[ids["tag"]]
    )
    ids["trip"] = await catalogue.occurrence(trip_template_id=ids["template"], guide_id=ids["guide"])
    ids["other"] = await catalogue.occurrence()
    await drain(stores)
    return ids


@dataclass
class Sync:
    settings: Settings
    stores: Stores
    ids: dict[str, int]


@pytest.fixture
def sync(settings: Settings, stores: Stores, ids: dict[str, int]) -> Sync:
    return Sync(settings, stores, ids)


async def trip(stores: Stores, trip_id: int) -> Any:
    return orjson.loads((await indexed(stores))[trip_id]["trip"])


Change = tuple[str, list[Any], object]

CHANGES: dict[str, Change] = {
    "departure": ("UPDATE trip_occurrences SET spots_left = 1 WHERE id = :trip", ["spotsLeft"], 1),
    "template": ("UPDATE trip_templates SET title = 'New' WHERE id = :template", ["template", "title"], "New"),
    "company": ("UPDATE companies SET name = 'New' WHERE id = :company", ["template", "company", "name"], "New"),
    "country": (
        "UPDATE countries SET continent = 'ASIA' WHERE id = :country",
        ["template", "primaryCountry", "continent"],
        "Asia",
    ),
    "type": ("UPDATE trip_types SET name = 'New' WHERE id = :type", ["template", "tripType", "name"], "New"),
    "tag": ("UPDATE tags SET name = 'New' WHERE id = :tag", ["template", "tags", 0, "name"], "New"),
    "guide": ("UPDATE guides SET name = 'New' WHERE id = :guide", ["guide", "name"], "New"),
    "deleted guide": ("DELETE FROM guides WHERE id = :guide", ["guide"], None),
    "deleted tag": ("DELETE FROM tags WHERE id = :tag", ["template", "tags"], []),
    "removed tag": (
        "DELETE FROM trip_template_tags WHERE trip_template_id = :template",
        ["template", "tags"],
        [],
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_change_of_what_a_departure_shows_reaches_the_index(
    settings: Settings, stores: Stores, ids: dict[str, int], change: Change
) -> None:
    statement, path, value = change
    await execute(stores.postgres, statement, **{name: ids[name] for name in ids if f":{name}" in statement})
    await drain(stores)
    found = await trip(stores, ids["trip"])
    for step in path:
        found = found[step]
    assert found == value
    await assert_in_sync(settings)


async def test_a_tag_given_to_a_template_reaches_the_index(
    settings: Settings, catalogue: Catalogue, stores: Stores, ids: dict[str, int]
) -> None:
    tag = await catalogue.tag()
    await catalogue.link(TripTemplateTag, ids["template"], [{"tag_id": tag}])
    await drain(stores)
    assert (await indexed(stores))[ids["trip"]]["themes"] == [str(ids["tag"]), str(tag)]
    await assert_in_sync(settings)


async def test_a_deleted_departure_leaves_the_index_and_the_same_id_may_come_back(
    settings: Settings, catalogue: Catalogue, stores: Stores, ids: dict[str, int]
) -> None:
    await execute(stores.postgres, "DELETE FROM trip_occurrences WHERE id = :trip", trip=ids["trip"])
    await drain(stores)
    assert (await indexed(stores)).keys() == {ids["other"]}
    await catalogue.occurrence(id=ids["trip"])
    await drain(stores)
    assert (await indexed(stores)).keys() == {ids["trip"], ids["other"]}
    await assert_in_sync(settings)


async def test_a_changed_id_moves_the_document(settings: Settings, stores: Stores, ids: dict[str, int]) -> None:
    await execute(stores.postgres, "UPDATE trip_occurrences SET id = 9000 WHERE id = :trip", trip=ids["trip"])
    await drain(stores)
    assert (await indexed(stores)).keys() == {9000, ids["other"]}
    await assert_in_sync(settings)


async def test_a_truncated_table_empties_the_index(settings: Settings, stores: Stores, ids: dict[str, int]) -> None:
    await execute(stores.postgres, "TRUNCATE trip_occurrences CASCADE")
    await drain(stores)
    assert await indexed(stores) == {}
    await assert_in_sync(settings)


async def test_what_was_rolled_back_leaves_nothing_to_do(stores: Stores, ids: dict[str, int]) -> None:
    async with stores.postgres.connect() as connection:
        await connection.exec_driver_sql("UPDATE trip_occurrences SET spots_left = 0")
        await connection.rollback()
    assert await waiting(stores.postgres) == 0


async def test_a_batch_says_which_kinds_changed(stores: Stores, ids: dict[str, int]) -> None:
    await execute(
        stores.postgres, "UPDATE companies SET name = name || '!' WHERE id = :company", company=ids["company"]
    )
    first, second = await drain(stores)
    assert {row.kind for row in first.claimed} == {"company"}
    assert {row.kind for row in second.claimed} == {"occurrence"}


async def test_without_an_index_changes_wait(catalogue: Catalogue, stores: Stores) -> None:
    await catalogue.occurrence()
    rows = await waiting(stores.postgres)
    with pytest.raises(NoLiveIndex):
        await process(stores, retry=True)
    assert await waiting(stores.postgres) == rows > 0


async def test_an_index_of_other_documents_is_not_written_to(stores: Stores, ids: dict[str, int]) -> None:
    await execute(stores.postgres, "UPDATE smarttrip.index_targets SET mapping_hash = 'other'")
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 1")
    with pytest.raises(OtherDocuments):
        await process(stores, retry=True)
    assert await waiting(stores.postgres) == 2


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.fixture(params=["before", "after"])
def kill(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Makes of a step one that dies before or after it is done."""

    def deadly(step: Callable[..., Awaitable[Any]]) -> Any:
        async def die(*arguments: Any, **options: Any) -> None:
            if request.param == "after":
                await step(*arguments, **options)
            raise Killed

        return die

    return deadly


@pytest.mark.parametrize(
    ("module", "step"),
    [(outbox, "claim"), (bulk, "write"), (outbox, "remove")],
    ids=["claiming", "writing", "forgetting"],
)
async def test_a_kill_loses_nothing(
    sync: Sync, monkeypatch: pytest.MonkeyPatch, kill: Callable[[Any], Any], module: Any, step: str
) -> None:
    await execute(sync.stores.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await execute(sync.stores.postgres, "DELETE FROM trip_occurrences WHERE id = :other", other=sync.ids["other"])
    with monkeypatch.context() as patch:
        patch.setattr(module, step, kill(getattr(module, step)))
        with pytest.raises(Killed):
            await process(sync.stores, retry=True)
    assert await waiting(sync.stores.postgres) == 3
    await drain(sync.stores)
    assert (await trip(sync.stores, sync.ids["trip"]))["spotsLeft"] == 5
    await assert_in_sync(sync.settings)


async def test_a_cancelled_batch_loses_nothing(
    settings: Settings, stores: Stores, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    reached = asyncio.Event()

    async def stuck(*arguments: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "write", stuck)
        task = asyncio.create_task(process(stores, retry=True))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await drain(stores)
    await assert_in_sync(settings)


async def test_batches_side_by_side_take_different_rows_and_end_in_sync(
    settings: Settings, catalogue: Catalogue, stores: Stores, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "OLDEST", 7)
    monkeypatch.setattr(outbox, "NEWEST", 3)
    for _ in range(20):
        await catalogue.occurrence(trip_template_id=ids["template"])
    for left in range(5):
        await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = :left", left=left)
    claimed: list[int] = []

    async def worker() -> None:
        while (found := await process(stores, retry=True)).claimed:
            claimed.extend(row.id for row in found.claimed)

    await asyncio.gather(worker(), worker(), worker())
    await drain(stores)
    assert len(claimed) == len(set(claimed))
    await assert_in_sync(settings)


async def test_a_change_during_the_batch_is_not_lost(
    settings: Settings, stores: Stores, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    real = bulk.write

    async def write(*arguments: Any) -> Any:
        await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 6")
        return await real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "write", write)
        await process(stores, retry=True)
    assert await waiting(stores.postgres) == 2
    await drain(stores)
    assert (await trip(stores, ids["trip"]))["spotsLeft"] == 6
    await assert_in_sync(settings)


async def test_a_row_that_cannot_be_shown_is_removed_and_told_and_blocks_no_other(
    settings: Settings, stores: Stores, ids: dict[str, int]
) -> None:
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await execute(
        stores.postgres, "UPDATE trip_occurrences SET end_date = 'infinity' WHERE id = :trip", trip=ids["trip"]
    )
    await drain(stores)
    assert {trip_id: found["spots"] for trip_id, found in (await indexed(stores)).items()} == {ids["other"]: 5}
    assert await waiting(stores.postgres) == 0
    assert await dead(stores) == {ids["trip"]}
    await assert_in_sync(settings)
    await execute(
        stores.postgres, "UPDATE trip_occurrences SET end_date = start_date WHERE id = :trip", trip=ids["trip"]
    )
    await drain(stores)
    assert ids["trip"] in await indexed(stores)


async def dead(stores: Stores) -> set[int | None]:
    async with stores.postgres.connect() as connection:
        return set(await connection.scalars(select(DeadLetter.row_id)))


async def test_what_elasticsearch_refuses_is_removed_and_told_and_blocks_no_other(
    stores: Stores, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    real = read_documents

    async def spoilt(connection: AsyncConnection, trip_ids: list[int]) -> Any:
        reading = await real(connection, trip_ids)
        reading.documents[ids["trip"]]["level"] = 1000
        return reading

    with monkeypatch.context() as patch:
        patch.setattr(batch, "read_documents", spoilt)
        await drain(stores)
    assert (await indexed(stores)).keys() == {ids["other"]}
    assert await dead(stores) == {ids["trip"]}
    assert await waiting(stores.postgres) == 0


async def block(stores: Stores, name: str, *, blocked: bool) -> None:
    await stores.elasticsearch.indices.put_settings(index=name, settings={"index.blocks.write": blocked})


async def test_a_blocked_index_keeps_the_rows_and_counts_the_attempts(
    settings: Settings, stores: Stores, ids: dict[str, int], index: str
) -> None:
    await block(stores, index, blocked=True)
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    for attempt in range(2):
        found = await process(stores, retry=True)
        assert found.failed
        assert [row.attempts for row in found.kept] == [attempt]
    assert (await process(stores, retry=False)).claimed == []
    assert await dead(stores) == set()
    await block(stores, index, blocked=False)
    await drain(stores)
    await assert_in_sync(settings)


async def test_a_dropped_index_is_noticed_and_the_rows_stay(stores: Stores, ids: dict[str, int], index: str) -> None:
    await stores.elasticsearch.indices.delete(index=index)
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    found = await process(stores, retry=True)
    assert found.written.live_missing
    assert await waiting(stores.postgres) == 1
    assert not await stores.elasticsearch.indices.exists(index=index)


async def test_the_previous_index_is_written_to_as_well(
    settings: Settings, stores: Stores, ids: dict[str, int], index: str
) -> None:
    current = (await reindex(settings, unheard)).name
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    await drain(stores)
    assert await indexed(stores, index) == await indexed(stores, current)


async def test_a_previous_index_that_fails_holds_up_the_one_in_use_only_for_a_while(
    settings: Settings, stores: Stores, ids: dict[str, int], index: str
) -> None:
    await reindex(settings, unheard)
    await block(stores, index, blocked=True)
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    batches = [await process(stores, retry=True) for _ in range(batch.PATIENCE_WITH_PREVIOUS + 1)]
    assert batches[0].kept
    assert batches[-1].written.lost == [index]
    assert await waiting(stores.postgres) == 0
    await assert_in_sync(settings)


async def test_a_previous_index_that_was_dropped_is_forgotten_at_once(
    settings: Settings, stores: Stores, ids: dict[str, int], index: str
) -> None:
    await reindex(settings, unheard)
    await stores.elasticsearch.indices.delete(index=index)
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    (found,) = await drain(stores)
    assert found.written.lost == [index]
    await assert_in_sync(settings)


async def test_a_batch_that_stood_still_is_not_written_and_its_departures_are_read_again(
    settings: Settings, stores: Stores, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    with monkeypatch.context() as patch:
        patch.setattr(batch, "STALLED_AFTER", -1.0)
        with pytest.raises(batch.Stalled):
            await process(stores, retry=True)
    assert (await trip(stores, ids["trip"]))["spotsLeft"] != 5
    await drain(stores)
    await assert_in_sync(settings)


async def test_a_batch_that_stood_still_while_it_wrote_brings_back_no_deleted_departure(
    settings: Settings, stores: Stores, ids: dict[str, int], index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion is handled by another worker and forgotten by Elasticsearch before the old write arrives."""
    await stores.elasticsearch.indices.put_settings(index=index, settings={"index.gc_deletes": "0s"})
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    real = bulk.write

    async def late(*arguments: Any) -> Any:
        await execute(stores.postgres, "DELETE FROM trip_occurrences WHERE id = :trip", trip=ids["trip"])
        with monkeypatch.context() as patch:
            patch.setattr(bulk, "write", real)
            await process(stores, retry=True)
        await stores.elasticsearch.indices.forcemerge(index=index)
        monkeypatch.setattr(batch, "STALLED_AFTER", -1.0)
        return await real(*arguments)

    monkeypatch.setattr(batch, "STALLED_AFTER", 60.0)
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "write", late)
        await process(stores, retry=True)
    monkeypatch.setattr(batch, "STALLED_AFTER", 60.0)
    await drain(stores)
    assert ids["trip"] not in await indexed(stores)
    await assert_in_sync(settings)


async def test_a_postgres_that_was_set_back_is_noticed_before_the_first_batch_on_its_new_connections(
    stores: Stores, ids: dict[str, int], index: str
) -> None:
    later = await versions.take(stores.postgres) + 3
    await bulk.write(stores.elasticsearch, [index], later, {ids["trip"]: None})
    await execute(stores.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :trip", trip=ids["trip"])
    await stores.postgres.dispose()
    with pytest.raises(ForeignIndex):
        await process(stores, retry=True)
    assert await waiting(stores.postgres) == 1
