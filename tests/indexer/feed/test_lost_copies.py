"""Changes while an index that no search uses has no copy of its shard, as its node is down."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from indexer.backends import Backends
from indexer.feed.batch import process_batch
from indexer.feed.consumer import POLL_SECONDS, OutboxConsumer
from indexer.feed.notifier import ChangeNotifier
from indexer.index import admin, targets
from indexer.index.outbox import DIRECT
from indexer.index.targets import TargetState
from tests.support.sync import execute, trip, waiting

FRESH_SECONDS = 5.0
"""Within which a change is searchable whatever one server does."""


@pytest.fixture(params=[TargetState.BUILDING, TargetState.PREVIOUS])
async def lost(backends: Backends, ids: dict[str, int], request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A target of which there is no copy: no node has the name that it requires."""
    name, es = admin.new_name(backends.alias), backends.elasticsearch
    nowhere: dict[str, Any] = {"index.routing.allocation.require._name": "nowhere"}
    await es.indices.create(
        index=name, aliases={admin.write_alias(name): {}}, settings=nowhere, wait_for_active_shards=0
    )
    async with backends.postgres.begin() as connection:
        await targets.register(connection, name)
        await targets.mark(connection, name, request.param)
    yield name
    async with backends.postgres.begin() as connection:
        await targets.remove(connection, [name])
    await es.indices.delete(index=name)


@pytest.mark.usefixtures("lost")
async def test_live_index_does_not_wait_for_a_copy_of_another(backends: Backends, ids: dict[str, int]) -> None:
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    began = time.monotonic()
    batch = await process_batch(backends, retry=True)
    assert time.monotonic() - began < FRESH_SECONDS
    assert (await trip(backends, ids["trip"]))["spotsLeft"] == 5
    # It is written again once there is a copy.
    assert batch.failed_entirely
    assert await waiting(backends.postgres) == 1


@pytest.mark.usefixtures("lost")
async def test_next_change_does_not_wait_until_those_before_are_tried_again(
    backends: Backends, ids: dict[str, int], redis: Redis
) -> None:
    consumer = OutboxConsumer(backends, DIRECT, ChangeNotifier(backends, redis), lambda: None)
    # The pause before rows that failed so often are tried again is the longest.
    consumer._failures = 10
    await execute(backends.postgres, "UPDATE trip_occurrences SET spots_left = 5 WHERE id = :id", id=ids["trip"])
    assert await consumer._drain() <= POLL_SECONDS
    assert await waiting(backends.postgres) == 1
