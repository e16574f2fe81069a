"""Entries that depend on some departures are compared with their changes, and no more often than needed."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from app.cache.recent_departure_changes import HOLD_SECONDS
from app.http.encoded_body import EncodedBody
from indexer.invalidation_publisher import publish
from schemas.invalidation_message import DepartureChange, DepartureChanges
from scoring.change_impact import ChangedDeparture
from tests.scoring.builders import departure
from tests.support.cache import COUNTRY, FakeLoader, SimulatedProcess, redis_store, simulated_process
from tests.support.eventually import eventually


@dataclass
class Search:
    """A search that every change affects."""

    process: SimulatedProcess
    loader: FakeLoader = field(default_factory=FakeLoader)
    comparisons: int = 0

    def read_dependency(self, body: EncodedBody) -> "Search":
        return self

    def __call__(self, changes: Sequence[ChangedDeparture]) -> bool:
        self.comparisons += bool(changes)
        return bool(changes)

    async def text(self, ttl: float = 60) -> str:
        body = await self.process.cache.get("key", COUNTRY, self.loader.load, ttl, read_dependency=self.read_dependency)
        return body.identity.decode()

    async def publish_change(self, redis: Redis, *, age: float) -> None:
        since = self.process.invalidation.current
        change = DepartureChange(1, departure(id=1, spots=1), departure(id=1, spots=2))
        published = await publish(redis, ["occurrence"], DepartureChanges(since, age, [change]))
        await eventually(lambda: self.process.invalidation.current == published)


@pytest.fixture
async def search(redis: Redis) -> AsyncIterator[Search]:
    await redis.flushdb()
    await publish(redis, [])
    async with simulated_process(redis) as process:
        search = Search(process)
        yield search
        search.loader.gate.set()


async def texts_beside_a_change(redis: Redis, search: Search, *, age: float, seconds: float) -> list[str]:
    """Return what a caller gets that comes before a change of this age, and one after it, if loads take so long."""
    search.loader.gate.clear()
    first = asyncio.create_task(search.text())
    await eventually(lambda: search.loader.calls == 1)
    await search.publish_change(redis, age=age)
    search.loader.text = "second"
    second = asyncio.create_task(search.text())
    await asyncio.sleep(seconds)
    search.loader.gate.set()
    return [await first, await second]


async def test_load_from_before_a_change_is_joined_while_it_may_lack_the_change(redis: Redis, search: Search) -> None:
    assert await texts_beside_a_change(redis, search, age=0, seconds=0.1) == ["first", "first"]
    assert search.loader.calls == 1


async def test_joined_load_that_ends_too_late_is_not_used(redis: Redis, search: Search) -> None:
    assert await texts_beside_a_change(redis, search, age=HOLD_SECONDS - 0.2, seconds=0.4) == ["first", "second"]


async def test_load_from_before_a_change_is_not_joined_too_late(redis: Redis, search: Search) -> None:
    assert await texts_beside_a_change(redis, search, age=HOLD_SECONDS, seconds=0.1) == ["first", "second"]


async def test_slow_load_is_joined_by_all_processes_but_never_beyond_the_hold(redis: Redis, search: Search) -> None:
    """Changes that come while a frequent search is loaded do not have it loaded once for each of them."""
    search.loader.gate.clear()
    async with simulated_process(redis) as process:
        searches = [search, Search(process, search.loader)]
        callers = []
        for _ in range(4):
            callers += [asyncio.create_task(each.text()) for each in searches for _ in range(5)]
            await eventually(lambda: search.loader.calls >= 1)
            await search.publish_change(redis, age=0)
            await eventually(lambda: process.invalidation.current == search.process.invalidation.current)
        search.loader.gate.set()
        assert {*await asyncio.gather(*callers)} == {"first"}
    assert search.loader.calls == 1


async def test_entry_is_compared_once_while_another_process_loads_it(redis: Redis, search: Search) -> None:
    await search.text()
    async with simulated_process(redis) as process:
        waiting = Search(process)
        await waiting.publish_change(redis, age=HOLD_SECONDS)
        async with redis_store(redis) as store:
            await store.lock_and_get("key", process.invalidation.current, 0)
        await waiting.text()
        assert (waiting.loader.calls, waiting.comparisons) == (1, 1)


async def test_expired_entry_is_not_compared(redis: Redis, search: Search) -> None:
    await search.text(ttl=0.05)
    expires = time.monotonic() + 0.05
    await search.publish_change(redis, age=HOLD_SECONDS)
    await eventually(lambda: time.monotonic() > expires)
    await search.text()
    assert (search.loader.calls, search.comparisons) == (2, 0)
