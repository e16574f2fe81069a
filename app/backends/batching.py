"""Group commit: what comes in one moment, or while a round trip goes on, shares the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from core.tasks import cancel_and_wait

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    def __init__(self, round_trip: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]) -> None:
        """`round_trip` has an outcome for each that is asked, or fails for all."""
        self._round_trip = round_trip
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._going: asyncio.Task[None] | None = None

    async def ask(self, asked: Item) -> Result:
        """Raises what its round trip raised."""
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, outcome))
        if self._going is None:
            self._going = asyncio.create_task(self._go())
        return await outcome

    async def close(self) -> None:
        """Once nobody waits any more."""
        if self._going is not None:
            await cancel_and_wait([self._going])

    async def _go(self) -> None:
        while self._waiting:
            # A turn of the loop, for what has arrived by now: fewer, larger round trips are cheaper for all.
            await asyncio.sleep(0)
            group, self._waiting = self._waiting, []
            try:
                outcomes = await self._round_trip([asked for asked, _ in group])
            except Exception as error:  # noqa: BLE001  # it rises where it is waited for
                # Who came meanwhile does not wait for the same once more.
                group, self._waiting = [*group, *self._waiting], []
                outcomes = [error] * len(group)
            for (_, waited_for), outcome in zip(group, outcomes, strict=True):
                _resolve(waited_for, outcome)
        self._going = None


def _resolve(waited_for: asyncio.Future[Result], outcome: Result | Exception) -> None:
    """Who waited and gave up takes nothing away from the others."""
    if waited_for.done():
        return
    if isinstance(outcome, Exception):
        waited_for.set_exception(outcome)
    else:
        waited_for.set_result(outcome)
