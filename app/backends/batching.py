"""Group commit: items that arrive at the same moment, or during a round trip, share the next round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from typing import Generic, TypeVar

from core.concurrency.tasks import cancel_and_wait

GATHERING_TURNS = 2
"""Turns of the loop in which other callers can add their items: fewer, larger round trips are cheaper."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items of concurrent callers into batches; one round trip is under way at a time.

    With `patience`, one that takes longer than so many seconds is overdue: the next one does not wait for it, as long
    as there are fewer than `most`.
    """

    def __init__(
        self,
        round_trip: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        new_context: Callable[[], Context] = copy_context,
        *,
        patience: float | None = None,
        most: int = 1,
    ) -> None:
        """`round_trip` returns a result or an exception for each item, or raises for all of them.

        Each round trip runs in a new context: by default with the trace and the record of the first of its callers.
        """
        self._round_trip = round_trip
        self._new_context = new_context
        self._patience = patience
        self._most = most
        self._pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self._next_context: Context | None = None
        """Context of the first pending item."""
        self._under_way: set[asyncio.Task[None]] = set()
        self._awaited: asyncio.Task[None] | None = None
        """The round trip that pending items wait for: the last one, unless it is overdue."""

    async def submit(self, item: Item) -> Result:
        """Return the item's result. Raises what its round trip raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if not self._pending:
            self._next_context = self._new_context()
        self._pending.append((item, future))
        self._begin_if_due()
        try:
            return await future
        finally:
            # The future's error refers to this frame.
            del future

    async def close(self) -> None:
        """Cancel the round trips under way. Callers must not be waiting any more."""
        self._pending.clear()
        await cancel_and_wait(self._under_way)

    def _begin_if_due(self) -> None:
        if self._pending and self._awaited is None and len(self._under_way) < self._most:
            self._awaited = asyncio.create_task(self._make_round_trip(), context=self._next_context)
            self._under_way.add(self._awaited)

    async def _make_round_trip(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        for _ in range(GATHERING_TURNS):
            await asyncio.sleep(0)
        batch, self._pending = self._pending, []
        results: Sequence[Result | Exception]
        overdue = None
        if self._patience is not None:
            overdue = asyncio.get_running_loop().call_later(self._patience, self._let_next_begin, task)
        try:
            results = await self._round_trip([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  # raised in `submit`
            if task is self._awaited:
                # Items that wait for it fail too, instead of waiting for the same failure.
                batch, self._pending = [*batch, *self._pending], []
            results = [error] * len(batch)
        if overdue is not None:
            overdue.cancel()
        for (_, future), result in zip(batch, results, strict=True):
            _resolve(future, result)
        self._under_way.discard(task)
        if task is self._awaited:
            self._awaited = None
        self._begin_if_due()

    def _let_next_begin(self, task: asyncio.Task[None]) -> None:
        if task is self._awaited:
            self._awaited = None
            self._begin_if_due()


def _resolve(future: asyncio.Future[Result], result: Result | Exception) -> None:
    """Set the result, unless the caller was cancelled."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
