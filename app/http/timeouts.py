"""Time limits of requests, all looked at together: a timer for each took a tenth of what an event costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from types import TracebackType
from typing import Any

from core.tasks import background_task

LOOK_SECONDS = 0.25
"""How late a limit may be noticed."""


class Deadlines:
    def __init__(self) -> None:
        self._running: set[Deadline] = set()

    def within(self, seconds: float) -> "Deadline":
        """A block that ends with TimeoutError once the seconds are over."""
        return Deadline(self._running, monotonic() + seconds)

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = monotonic()
            for deadline in self._running:
                deadline.look(now)


class Deadline:
    """Cancels its task, as `asyncio.timeout` does, whose promises it keeps."""

    __slots__ = ("_cancelling", "_due", "_over", "_running", "_task")

    def __init__(self, running: "set[Deadline]", due: float) -> None:
        self._running = running
        self._due = due
        self._over = False

    def look(self, now: float) -> None:
        if now >= self._due and not self._over:
            self._over = True
            self._task.cancel()

    def __enter__(self) -> None:
        task: asyncio.Task[Any] | None = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._running.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._running.remove(self)
        # Who was cancelled by others as well has to end.
        if self._over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


@asynccontextmanager
async def watched_deadlines() -> AsyncIterator[Deadlines]:
    deadlines = Deadlines()
    async with background_task(deadlines.watch()):
        yield deadlines
