"""Waiting for what happens soon."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], bool | Awaitable[bool]], within: float = 5.0) -> None:
    """Raises AssertionError if it doesn't hold within so many seconds."""
    deadline = time.monotonic() + within
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)
