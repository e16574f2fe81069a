"""Items share round trips; none waits for one that is overdue, and each round trip is in the trace of its callers."""

import asyncio
import random
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from app.backends.batching import Batcher

caller_var: ContextVar[str] = ContextVar("caller")


class Server:
    """Answers at once, or not at all before it is told to."""

    def __init__(self) -> None:
        self.batches: list[Sequence[str]] = []
        self.callers: list[str | None] = []
        self.dead: dict[int, asyncio.Event] = {}
        """By the number of the round trip; it fails once the event is set."""

    async def round_trip(self, items: Sequence[str]) -> Sequence[str]:
        number = len(self.batches)
        self.batches.append(items)
        self.callers.append(caller_var.get(None))
        if number in self.dead:
            await self.dead[number].wait()
            raise OSError(f"{number} is dead")
        await asyncio.sleep(0.005)
        return [item.upper() for item in items]


async def submit(batcher: Batcher[str, str], item: str) -> str:
    caller_var.set(item)
    return await batcher.submit(item)


async def test_each_round_trip_has_the_context_of_its_own_first_caller() -> None:
    server = Server()
    batcher = Batcher(server.round_trip)
    begun: list[asyncio.Task[str]] = []
    for item in "abcdef":
        begun.append(asyncio.create_task(submit(batcher, item)))
        await asyncio.sleep(0.003)
    assert await asyncio.gather(*begun) == [*"ABCDEF"]
    assert len(server.batches) > 1
    assert server.callers == [items[0] for items in server.batches]


async def test_overdue_round_trip_delays_no_others_and_fails_alone() -> None:
    server = Server()
    server.dead[0] = asyncio.Event()
    batcher = Batcher(server.round_trip, patience=0.02, most=2)
    dead = asyncio.create_task(batcher.submit("dead"))
    await asyncio.sleep(0.001)
    async with asyncio.timeout(1):
        assert await batcher.submit("meanwhile") == "MEANWHILE"
        assert await batcher.submit("later") == "LATER"
    other = asyncio.create_task(batcher.submit("other"))
    await asyncio.sleep(0.001)
    server.dead[0].set()
    with pytest.raises(OSError, match="0 is dead"):
        await dead
    assert await other == "OTHER"


async def test_round_trip_that_fails_in_time_fails_what_waits_for_it() -> None:
    server = Server()
    server.dead[0] = asyncio.Event()
    batcher = Batcher(server.round_trip, patience=1.0, most=2)
    first = asyncio.create_task(batcher.submit("first"))
    await asyncio.sleep(0.001)
    waiting = asyncio.create_task(batcher.submit("waiting"))
    await asyncio.sleep(0.001)
    server.dead[0].set()
    assert all(isinstance(found, OSError) for found in await asyncio.gather(first, waiting, return_exceptions=True))
    assert len(server.batches) == 1


async def test_no_more_than_so_many_are_under_way() -> None:
    server = Server()
    server.dead = {number: asyncio.Event() for number in range(10)}
    batcher = Batcher(server.round_trip, patience=0.005, most=3)
    waiting = [asyncio.create_task(batcher.submit(f"{number}")) for number in range(3)]
    for number in range(12):
        await asyncio.sleep(0.01)
        waiting.append(asyncio.create_task(batcher.submit(f"later {number}")))
    assert len(server.batches) == 3
    await batcher.close()
    assert len(server.batches) == 3
    for task in waiting:
        task.cancel()


@pytest.mark.parametrize("seed", range(20))
async def test_every_item_that_is_waited_for_gets_its_own_result(seed: int) -> None:
    chance = random.Random(seed)
    server = Server()
    server.dead = {number: asyncio.Event() for number in range(1, 60) if chance.random() < 0.2}
    batcher = Batcher(server.round_trip, patience=chance.choice([None, 0.002, 0.02]), most=chance.randint(1, 4))
    waiting: dict[str, asyncio.Task[str]] = {}
    for number in range(100):
        waiting[f"item {number}"] = asyncio.create_task(batcher.submit(f"item {number}"))
        if chance.random() < 0.1:
            waiting.pop(chance.choice([*waiting])).cancel()
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0.001, 0.004]))
    for event in server.dead.values():
        event.set()
    async with asyncio.timeout(5):
        found = await asyncio.gather(*waiting.values(), return_exceptions=True)
    for item, result in zip(waiting, found, strict=True):
        assert isinstance(result, OSError) or result == item.upper()
    assert len({item for items in server.batches for item in items}) == sum(map(len, server.batches))
