"""What a worker has written and not published is published by whoever writes the same departure next."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from sqlalchemy import func, insert, select, text
from sqlalchemy.engine.base import RootTransaction
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer import publisher_leases, unpublished_changes
from indexer.backends import Backends
from indexer.feed import changed_departures
from indexer.feed import notifier as notifier_module
from indexer.feed.batch import BatchResult, process_batch
from indexer.feed.consumer import OutboxConsumer
from indexer.feed.notifier import ChangeNotifier
from indexer.index.outbox import DIRECT, ClaimedRow
from schemas.index_document import SearchedFields
from schemas.invalidation_message import ALL_KINDS, DEPARTURE
from schemas.tables import Publisher, UnpublishedChanges
from tests.indexer.feed.test_notifier import next_message, notifier, redis, subscription
from tests.support.sync import execute, waiting

__all__ = ["notifier", "redis", "subscription"]

Spots = tuple[int | None, int | None]


@dataclass
class Worker:
    """A worker that registers, and publishes only when it is told to."""

    backends: Backends
    notifier: ChangeNotifier

    async def write(self, trip_id: int, spots: int) -> BatchResult:
        """Change the departure, and bring the index up to date."""
        await self.notifier.register()
        statement = "UPDATE trip_occurrences SET spots_left = :spots WHERE id = :id"
        await execute(self.backends.postgres, statement, spots=spots, id=trip_id)
        publisher, since = self.notifier.publisher, self.notifier.generation
        batch = await process_batch(self.backends, retry=True, publisher=publisher, since=since)
        self.notifier.record(batch)
        return batch

    async def spots(self, trip_id: int, spots: int) -> list[Spots] | None:
        """Return the spots that the message about this write lists, before and after."""
        listed = (await self.write(trip_id, spots)).listed
        return None if listed is None else [(_spots(each.before), _spots(each.after)) for each in listed.changes]


def _spots(state: SearchedFields | None) -> int | None:
    return None if state is None else state.spots


@pytest.fixture
async def workers(backends: Backends, ids: dict[str, int], notifier: ChangeNotifier, redis: Redis) -> list[Worker]:
    """Three workers; the departure of `ids["trip"]` has one spot, and everything is published."""
    others = [ChangeNotifier(backends, redis) for _ in range(2)]
    workers = [Worker(backends, each) for each in (notifier, *others)]
    await workers[0].write(ids["trip"], 1)
    for worker in workers:
        assert await worker.notifier.flush()
    return workers


async def count(engine: AsyncEngine, table: type[UnpublishedChanges] | type[Publisher]) -> int:
    async with engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(table)) or 0


def departure(trip_id: int) -> ClaimedRow:
    """Return a row of the outbox that was claimed."""
    return ClaimedRow(trip_id, DEPARTURE, trip_id, DIRECT, 0, None, datetime.now(UTC), monotonic())


async def expire(worker: Worker) -> None:
    """Have the worker count as gone."""
    old = "UPDATE smarttrip.publishers SET renewed_at = '-infinity' WHERE id = :id"
    await execute(worker.backends.postgres, old, id=worker.notifier.publisher)


async def test_unpublished_states_of_all_workers_are_listed(workers: list[Worker], ids: dict[str, int]) -> None:
    first, second, third = workers
    assert await first.spots(ids["trip"], 2) == [(1, 2)]
    assert await second.spots(ids["trip"], 3) == [(1, 2), (2, 3)]
    assert await third.spots(ids["trip"], 4) == [(1, 2), (2, 3), (3, 4)]


async def test_listed_states_are_since_the_first_of_them_was_read(workers: list[Worker], ids: dict[str, int]) -> None:
    """What was published after that is missing here, and caches add it."""
    known = workers[0].notifier.generation
    assert known < workers[1].notifier.generation < workers[2].notifier.generation
    listed = [(await worker.write(ids["trip"], spots)).listed for spots, worker in enumerate(workers, 2)]
    assert [each.since for each in listed if each is not None] == [known, known, known]


async def test_message_is_as_old_as_the_first_state_that_it_lists(
    workers: list[Worker], ids: dict[str, int], subscription: PubSub
) -> None:
    """Also of others: entries that it affects are not held for longer."""
    first, second, third = workers
    await drop_messages(subscription)
    await first.write(ids["trip"], 2)
    await asyncio.sleep(0.5)
    await second.write(ids["trip"], 3)
    await third.write(ids["trip"], 4)
    assert await third.notifier.flush()
    assert (await next_message(subscription))["departures"]["age"] > 0.5


async def test_published_states_are_not_listed_again(workers: list[Worker], ids: dict[str, int]) -> None:
    first, second, _ = workers
    await first.write(ids["trip"], 2)
    assert await first.notifier.flush()
    assert await count(first.backends.postgres, UnpublishedChanges) == 0
    assert await second.spots(ids["trip"], 3) == [(2, 3)]


async def test_unpublished_states_of_other_departures_are_not_listed(
    workers: list[Worker], ids: dict[str, int]
) -> None:
    await workers[0].write(ids["other"], 2)
    assert await workers[1].spots(ids["trip"], 3) == [(1, 3)]


async def test_two_batches_that_write_a_departure_at_once_list_nothing(
    workers: list[Worker], ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the index had when it was read is not what the write replaces."""
    first, second, _ = workers
    read_before = changed_departures.read_before

    async def read_then_be_overtaken(*arguments: Any) -> Any:
        before = await read_before(*arguments)
        monkeypatch.setattr(changed_departures, "read_before", read_before)
        assert await second.spots(ids["trip"], 2) is None
        return before

    monkeypatch.setattr(changed_departures, "read_before", read_then_be_overtaken)
    assert await first.spots(ids["trip"], 3) is None


async def test_departures_of_an_unlisted_batch_are_not_listed_until_it_is_published(
    workers: list[Worker], ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = workers
    with monkeypatch.context() as patch:
        patch.setattr(changed_departures, "MAX_CHANGES", 0)
        assert await first.spots(ids["trip"], 2) is None
    assert await second.spots(ids["trip"], 3) is None
    assert await first.notifier.flush()
    assert await second.notifier.flush()
    assert await second.spots(ids["trip"], 4) == [(3, 4)]


async def test_departures_are_not_listed_beside_a_process_without_records(
    workers: list[Worker], ids: dict[str, int]
) -> None:
    """A worker of an earlier release, or a reindex."""
    worker = workers[0]
    await execute(worker.backends.postgres, "INSERT INTO smarttrip.publishers (id) VALUES (gen_random_uuid())")
    assert await worker.spots(ids["trip"], 2) is None


async def test_nothing_is_listed_beside_many_unpublished_batches(
    workers: list[Worker], ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpublished_changes, "MAX_ROWS", 1)
    await workers[0].write(ids["other"], 2)
    assert await workers[1].spots(ids["trip"], 2) == [(1, 2)]
    assert await workers[1].spots(ids["trip"], 3) is None


async def test_states_are_not_stored_beside_many_unpublished_batches(
    workers: list[Worker], ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is down for a day, what nobody looks at does not fill the disk of Postgres."""
    monkeypatch.setattr(unpublished_changes, "MAX_ROWS", 2)
    for spots in range(2, 7):
        await workers[0].write(ids["trip"], spots)
    async with workers[0].backends.postgres.connect() as connection:
        stored = await connection.scalars(select(UnpublishedChanges.changes))
    assert [changes is not None for changes in stored] == [True, True, True, False, False]


async def test_row_that_was_not_published_is_kept_after_a_failover(workers: list[Worker], ids: dict[str, int]) -> None:
    """A server that takes over may count from a number that the failed one has given already."""
    worker, other, _ = workers
    lost = (await worker.write(ids["trip"], 2)).record
    await execute(worker.backends.postgres, "DELETE FROM smarttrip.unpublished_changes")
    await execute(worker.backends.postgres, f"ALTER TABLE smarttrip.unpublished_changes ALTER id RESTART WITH {lost}")
    assert await worker.notifier.flush()
    await worker.write(ids["trip"], 3)
    assert await worker.notifier._remove_published()
    assert await other.spots(ids["trip"], 4) == [(2, 3), (3, 4)]


async def test_look_reads_few_of_many_rows(
    workers: list[Worker], ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = workers[0]
    await worker.notifier.register()
    rows = 50 * [{"publisher": worker.notifier.publisher, "departures": [ids["trip"]]}]
    monkeypatch.setattr(unpublished_changes, "MAX_ROWS", 3)
    read = select(func.pg_stat_get_xact_tuples_returned(text("'smarttrip.unpublished_changes'::regclass")))
    async with worker.backends.postgres.connect() as connection:
        await connection.execute(insert(UnpublishedChanges), rows)
        before = await connection.scalar(read) or 0
        assert await unpublished_changes.find(connection, [departure(ids["trip"])], uuid4(), 0) is None
        assert (await connection.scalar(read) or 0) - before < len(rows)


async def test_states_of_another_release_are_unknown(workers: list[Worker], ids: dict[str, int]) -> None:
    first, second, _ = workers
    await first.write(ids["trip"], 2)
    renamed = """UPDATE smarttrip.unpublished_changes SET changes = replace(changes, '"before":', '"earlier":')"""
    await execute(first.backends.postgres, renamed)
    assert await second.spots(ids["trip"], 3) is None


async def test_unpublished_changes_of_a_killed_worker_are_kept_until_they_are_published(
    workers: list[Worker], ids: dict[str, int], redis: Redis
) -> None:
    killed, other, third = workers
    await killed.write(ids["trip"], 2)
    await other.notifier.register()
    await expire(killed)
    async with other.backends.postgres.begin() as connection:
        adopted = await publisher_leases.take_over(connection, other.notifier.publisher)
    assert adopted is not None
    assert len(adopted) == 1
    assert await third.spots(ids["trip"], 3) == [(1, 2), (2, 3)]


async def test_worker_that_lost_its_registration_is_registered_again(
    workers: list[Worker], ids: dict[str, int]
) -> None:
    worker = workers[1]
    await worker.notifier.register()
    await execute(worker.backends.postgres, "DELETE FROM smarttrip.publishers")
    await worker.write(ids["trip"], 2)
    assert await count(worker.backends.postgres, Publisher) == 1


async def test_worker_whose_changes_are_not_all_published_leaves_its_row(
    workers: list[Worker], ids: dict[str, int], redis: Redis
) -> None:
    """Another process publishes in its place: it was stopped before it took note of what it had committed."""
    worker = workers[1]
    await worker.notifier.register()
    await execute(worker.backends.postgres, "UPDATE trip_occurrences SET spots_left = 7")
    await process_batch(worker.backends, retry=True, publisher=worker.notifier.publisher)
    await worker.notifier.finish()
    assert await count(worker.backends.postgres, UnpublishedChanges) == 1


def break_commit_after(patch: pytest.MonkeyPatch, owner: Any, step: str) -> None:
    """Have the connection lost after the server has committed the transaction of the next such step."""
    commit, taken = RootTransaction._connection_commit_impl, getattr(owner, step)

    def commit_unconfirmed(transaction: RootTransaction) -> None:
        commit(transaction)
        patch.setattr(RootTransaction, "_connection_commit_impl", commit)
        raise OperationalError("COMMIT", {}, ConnectionError())

    async def take_step(*arguments: Any) -> Any:
        patch.setattr(owner, step, taken)
        patch.setattr(RootTransaction, "_connection_commit_impl", commit_unconfirmed)
        return await taken(*arguments)

    patch.setattr(owner, step, take_step)


async def drop_messages(subscription: PubSub) -> None:
    while await subscription.get_message(timeout=0.1) is not None:
        pass


async def test_batch_whose_commit_is_not_confirmed_is_published(
    workers: list[Worker], ids: dict[str, int], subscription: PubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = workers[0]
    await drop_messages(subscription)
    break_commit_after(monkeypatch, unpublished_changes, "record")
    await execute(worker.backends.postgres, "UPDATE trip_occurrences SET spots_left = 7 WHERE id = :id", id=ids["trip"])
    await OutboxConsumer(worker.backends, DIRECT, worker.notifier, lambda: None)._drain()
    assert await waiting(worker.backends.postgres) == 0
    assert await worker.notifier.flush()
    assert (await next_message(subscription))["kinds"] == [DEPARTURE]


async def test_take_over_whose_commit_is_not_confirmed_is_published(
    workers: list[Worker], subscription: PubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that is gone has left nothing but its registration, which is removed by then."""
    killed, other, _ = workers
    await killed.notifier.register()
    await expire(killed)
    await drop_messages(subscription)
    break_commit_after(monkeypatch, publisher_leases, "take_over")
    with pytest.raises(OperationalError):
        await other.notifier.take_over()
    assert await count(other.backends.postgres, Publisher) == 1
    assert await other.notifier.flush()
    assert (await next_message(subscription))["kinds"] == sorted(ALL_KINDS)


async def test_rows_of_others_are_not_removed(workers: list[Worker], ids: dict[str, int]) -> None:
    """Another process has taken them over from one that stood still."""
    worker, other, _ = workers
    record = (await other.write(ids["trip"], 2)).record
    assert record is not None
    worker.notifier._published_records[record] = monotonic()
    assert await worker.notifier.flush()
    assert await count(worker.backends.postgres, UnpublishedChanges) == 1


async def test_rows_that_do_not_appear_are_forgotten(
    workers: list[Worker], ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their commit has failed. They may appear for a while."""
    notifier = workers[0].notifier
    await workers[0].write(ids["trip"], 2)
    await execute(workers[0].backends.postgres, "DELETE FROM smarttrip.unpublished_changes")
    assert await notifier.flush()
    assert len(notifier._published_records) == 1
    monkeypatch.setattr(notifier_module, "REMEMBER_SECONDS", 0.0)
    assert await notifier.flush()
    assert not notifier._published_records
