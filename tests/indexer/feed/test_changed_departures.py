"""The worker publishes which departures changed, before and after, unless caches may know another state of them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from sqlalchemy import insert

from core.clients import redis_key
from indexer import invalidation_publisher
from indexer.backends import Backends
from indexer.feed import changed_departures
from indexer.feed.batch import process_batch
from indexer.feed.notifier import ChangeNotifier
from indexer.index import bulk_writer, outbox
from indexer.index.bulk_writer import WriteOutcome
from schemas.index_document import SearchedFields
from schemas.invalidation_message import DepartureChanges, decode_message
from schemas.redis_keys import RECENT_CHANGES
from schemas.tables import IndexTarget
from tests.indexer.feed.test_interruptions import Killed, deadly
from tests.indexer.feed.test_notifier import notifier, redis, subscription
from tests.support.factories import CatalogueFactory
from tests.support.sync import drain, execute

__all__ = ["notifier", "redis", "subscription"]

Published = Callable[[], Awaitable[DepartureChanges | None]]


@pytest.fixture
def published(backends: Backends, notifier: ChangeNotifier, subscription: PubSub) -> Published:
    """Return a function that processes the outbox, and returns the changes of the message about departures."""

    async def publish() -> DepartureChanges | None:
        for batch in await drain(backends, notifier.publisher, notifier.generation):
            notifier.record(batch)
        assert await notifier.flush()
        message = await subscription.get_message(timeout=5)
        assert message is not None
        received = decode_message(message["data"])
        assert received.kinds == ["occurrence"]
        return received.departures

    return publish


def states(changes: DepartureChanges | None) -> list[tuple[int, SearchedFields | None, SearchedFields | None]]:
    assert changes is not None
    return [(change.id, change.before, change.after) for change in changes.changes]


async def test_changed_departure_is_published_before_and_after(
    backends: Backends, ids: dict[str, int], published: Published, notifier: ChangeNotifier
) -> None:
    since = notifier.generation
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    changes = await published()
    ((trip_id, before, after),) = states(changes)
    assert before is not None
    assert after is not None
    assert (trip_id, after.spots) == (ids["trip"], 5)
    assert before.spots != 5
    assert changes is not None
    assert changes.since == since
    assert changes.age > 0


async def test_deleted_and_inserted_departures_have_one_state(
    backends: Backends, ids: dict[str, int], catalogue: CatalogueFactory, published: Published
) -> None:
    await execute(backends.postgres, "DELETE FROM trip_occurrences WHERE id = :id", id=ids["other"])
    inserted = await catalogue.occurrence(trip_template_id=ids["template"])
    (deleted, before, none), (new, nothing, after) = states(await published())
    assert (deleted, new) == (ids["other"], inserted)
    assert (before is None, none, nothing, after is None) == (False, None, None, False)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("module", "step"), [(bulk_writer, "write"), (outbox, "remove")], ids=["write", "remove"])
async def test_departures_of_a_killed_batch_are_not_listed(  # noqa: PLR0917  # fixtures
    backends: Backends,
    ids: dict[str, int],
    notifier: ChangeNotifier,
    published: Published,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    step: str,
    moment: str,
) -> None:
    """The index may have a state that was never published, in place of the one that caches know."""
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    with monkeypatch.context() as patch:
        patch.setattr(module, step, deadly(getattr(module, step), moment))
        with pytest.raises(Killed):
            await process_batch(backends, retry=True, publisher=notifier.publisher)
    assert await published() is None


async def test_departures_with_a_failed_write_are_not_listed(
    backends: Backends,
    ids: dict[str, int],
    notifier: ChangeNotifier,
    published: Published,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The index may have taken it later, and may take it until it is repeated."""
    write = bulk_writer.write

    async def time_out(*arguments: Any) -> dict[str, WriteOutcome]:
        return {name: WriteOutcome(retryable={ids["trip"]: "timeout"}) for name in await write(*arguments)}

    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    with monkeypatch.context() as patch:
        patch.setattr(bulk_writer, "write", time_out)
        assert (await process_batch(backends, retry=True, publisher=notifier.publisher)).failed_entirely
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 6 WHERE id = :id", id=ids["trip"])
    batch = await process_batch(backends, retry=False, publisher=notifier.publisher)
    assert len(batch.done) == 1
    assert batch.listed is None
    notifier.record(batch)
    assert await published() is None
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 7 WHERE id = :id", id=ids["trip"])
    assert await published() is not None


async def test_departures_that_another_batch_writes_are_not_listed(
    backends: Backends, ids: dict[str, int], notifier: ChangeNotifier
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    async with backends.postgres.connect() as connection:
        await outbox.claim(connection, retry=True)
        await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 6 WHERE id = :id", id=ids["trip"])
        assert (await process_batch(backends, retry=True, publisher=notifier.publisher)).listed is None
        await connection.rollback()


async def test_many_departures_are_not_listed(
    backends: Backends, ids: dict[str, int], published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changed_departures, "MAX_CHANGES", 1)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    assert await published() is None


async def test_departures_of_two_batches_are_listed_together(
    backends: Backends, ids: dict[str, int], notifier: ChangeNotifier, published: Published
) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    for batch in await drain(backends, notifier.publisher, notifier.generation):
        notifier.record(batch)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 6 WHERE id = :id", id=ids["trip"])
    (_, _, first), (_, before, after) = states(await published())
    assert first == before
    assert after is not None
    assert after.spots == 6


async def test_departures_are_not_listed_beside_indexes_of_other_documents(
    backends: Backends, ids: dict[str, int], published: Published
) -> None:
    async with backends.postgres.begin() as connection:
        other = {"name": "of another release", "state": "live", "mapping_hash": "another release"}
        await connection.execute(insert(IndexTarget), other)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    assert await published() is None


async def test_departures_are_not_listed_if_the_index_does_not_tell(
    backends: Backends, ids: dict[str, int], published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*arguments: Any, **options: Any) -> None:
        return None

    monkeypatch.setattr(changed_departures, "read_before", fail)
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    assert await published() is None


async def test_row_of_a_rolled_back_batch_is_repeated(backends: Backends, ids: dict[str, int]) -> None:
    """Whichever shares of the queue it is in, and not if the lock was another batch's that is over."""
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5")
    for expected in (False, True, True):
        async with backends.postgres.connect() as connection:
            rows = await outbox.claim(connection, retry=True)
            assert {row.is_repeated for row in rows} == {expected}
            await connection.rollback()


async def test_latest_messages_are_retained(
    notifier: ChangeNotifier, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invalidation_publisher, "MAX_RETAINED", 3)
    generations = [await invalidation_publisher.publish(redis, ["tag"]) for _ in range(5)]
    retained = await redis.lrange(redis_key(redis, RECENT_CHANGES), 0, -1)  # type: ignore[misc]
    assert [decode_message(each).generation for each in retained] == generations[2:]
    assert 0 < await redis.ttl(redis_key(redis, RECENT_CHANGES)) <= invalidation_publisher.RETAINED_SECONDS
