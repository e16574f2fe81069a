"""Tasks that go on beside something else, and are ended for good."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

AGAIN_SECONDS = 0.1


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels until they are done; what they raise is for whoever looks at them.

    Once is not enough: `asyncio.wait_for` of Python 3.11, with which the Redis client sends, may swallow a
    cancellation.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_SECONDS)


@asynccontextmanager
async def background_task(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Goes on while the block lasts."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await cancel_and_wait([task])
