"""Whether what a failed task has held is freed with it, without a garbage collection."""

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from typing import Any


class Data:
    """Takes the place of what a request has made."""


async def is_freed_with_its_task(fail: Callable[[Data], Coroutine[Any, Any, None]], error: type[Exception]) -> bool:
    """Return whether the argument of a task that fails with the error is freed once nobody knows the task."""
    data = Data()
    kept = weakref.ref(data)
    task = asyncio.create_task(fail(data))
    del data
    await asyncio.wait([task])
    assert isinstance(task.exception(), error)
    del task
    # The loop forgets the task.
    await asyncio.sleep(0)
    return kept() is None
