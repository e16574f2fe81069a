"""Time during which the event loop ran: on a busy machine it stands still for much of the time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.concurrency.tasks import background_task

TICK = 0.01


class LoopClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK)
            self.seconds += min(time.monotonic() - began, 2 * TICK)


@asynccontextmanager
async def loop_clock() -> AsyncIterator[LoopClock]:
    """Yield a clock that runs during the block."""
    clock = LoopClock()
    async with background_task(clock.run()):
        yield clock
