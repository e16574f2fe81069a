"""Group commit: items that arrive at the same moment, or during a round trip, share the next round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from typing import Generic, TypeVar

from core.concurrency.tasks import cancel_and_wait

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items of concurrent callers into batches; one round trip is under way at a time."""

    def __init__(
        self,
        round_trip: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        new_context: Callable[[], Context] = copy_context,
    ) -> None:
        """`round_trip` returns a result or an exception for each item, or raises for all of them.

        Round trips run in a new context: by default with the trace and the record of the caller who begins them.
        """
        self._round_trip = round_trip
        self._new_context = new_context
        self._pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self._drain_task: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return the item's result. Raises what its round trip raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        if self._drain_task is None:
            self._drain_task = asyncio.create_task(self._drain(), context=self._new_context())
        try:
            return await future
        finally:
            # The future's error refers to this frame.
            del future

    async def close(self) -> None:
        """Cancel the round trip under way. Callers must not be waiting any more."""
        if self._drain_task is not None:
            await cancel_and_wait([self._drain_task])

    async def _drain(self) -> None:
        while self._pending:
            # Yield to the loop once, so that other callers can add their items: fewer, larger round trips are cheaper.
            await asyncio.sleep(0)
            batch, self._pending = self._pending, []
            results: Sequence[Result | Exception]
            try:
                results = await self._round_trip([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001  # raised in `submit`
                # Items that arrived meanwhile fail too, instead of waiting for the same failure.
                batch, self._pending = [*batch, *self._pending], []
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                _resolve(future, result)
        self._drain_task = None


def _resolve(future: asyncio.Future[Result], result: Result | Exception) -> None:
    """Set the result, unless the caller was cancelled."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
