"""Group commit: what comes while one write goes on goes into the next, together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from app.errors import overloaded
from app.pipelined import settle

Batch = Sequence[bytes]
"""What one caller brings, kept whole or not at all."""

MAX_WAITING = 10_000
"""Bodies; the next write takes them all, and must not keep Redis busy for long."""


class Together:
    def __init__(self, write: Callable[[Sequence[Batch]], Awaitable[int]]) -> None:
        """`write` answers how many it kept; there was no room for the rest."""
        self._write = write
        self._waiting: list[tuple[Batch, asyncio.Future[bool]]] = []
        self._length = 0
        """Bodies that wait."""
        self._writing: asyncio.Task[None] | None = None

    async def add(self, batch: Batch) -> bool:
        """Whether it was kept. Raises what the write raised, and 503 as ApiError if too many wait already."""
        if self._length + len(batch) > MAX_WAITING:
            raise overloaded()
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, kept))
        self._length += len(batch)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await kept

    async def _write_all(self) -> None:
        while self._waiting:
            # As in `app.pipelined`: what has arrived by now comes along.
            await asyncio.sleep(0)
            group, self._waiting, self._length = self._waiting, [], 0
            try:
                count = await self._write([batch for batch, _ in group])
                outcomes: list[object] = [number < count for number in range(len(group))]
            except Exception as error:  # noqa: BLE001  # it rises where it is waited for
                outcomes = [error] * len(group)
            for (_, kept), outcome in zip(group, outcomes, strict=True):
                settle(kept, outcome)
        self._writing = None
