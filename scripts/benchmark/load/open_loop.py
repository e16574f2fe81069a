"""An open loop: requests are due at a constant rate, whatever becomes of the responses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import perf_counter


async def due_times(rate: float, count: int, clock: Callable[[], float] = perf_counter) -> AsyncIterator[float]:
    """Yield `count` times of `clock`, `rate` a second, each once it has come; late ones follow without a pause."""
    start = clock()
    for number in range(count):
        due = start + number / rate
        if (early := due - clock()) > 0:
            await asyncio.sleep(early)
        yield due
