"""Results that all callers of a process share."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

from core.concurrency.tasks import cancel_and_wait, discard_exception

Result = TypeVar("Result")


class SharedResult(Generic[Result]):
    """Single flight: while `compute` runs, and for some seconds afterwards, all callers get its one result."""

    def __init__(self, compute: Callable[[], Awaitable[Result]], *, seconds: float) -> None:
        """`seconds` is the time after which a result is computed again for the next caller; errors are shared too."""
        self._compute = compute
        self._seconds = seconds
        self._task: asyncio.Task[Result] | None = None
        self._valid_until = 0.0

    async def get(self) -> Result:
        """Return the result. Raises whatever `compute` raised."""
        if self._task is None or (self._task.done() and monotonic() >= self._valid_until):
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(discard_exception)
        # Shielded: a caller that is cancelled must not cancel the computation for the others.
        return await asyncio.shield(self._task)

    async def aclose(self) -> None:
        """Cancel the computation that runs, and wait for its end."""
        if self._task is not None:
            await cancel_and_wait([self._task])

    async def _run(self) -> Result:
        try:
            return await self._compute()
        finally:
            self._valid_until = monotonic() + self._seconds
