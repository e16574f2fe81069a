"""Time limits whose errors leave no reference cycles."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def time_limit(seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """Limit the block to so many seconds, as `asyncio.timeout` does. Raises: TimeoutError."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield limit
    finally:
        # The error refers to the limit by a frame, and a task that it ends refers to the error: with the task, all
        # frames of its request would be kept until a collection.
        limit._task = None  # type: ignore[attr-defined]
