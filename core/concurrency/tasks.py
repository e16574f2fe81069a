"""Background tasks and their cancellation."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

CANCEL_INTERVAL_SECONDS = 0.1


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks, repeatedly, until all are done. Their exceptions are not raised.

    Cancelling once is not enough: `asyncio.wait_for` of Python 3.11, which the Redis client uses, may swallow a
    cancellation. A caller that is cancelled meanwhile, as by another `cancel_and_wait`, waits nevertheless: what the
    tasks opened would be left to nobody.
    """
    waiting = [*tasks]
    cancellation: asyncio.CancelledError | None = None
    while running := {task for task in waiting if not task.done()}:
        for task in running:
            task.cancel()
        try:
            await asyncio.wait(running, timeout=CANCEL_INTERVAL_SECONDS)
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        raise cancellation


def discard_exception(task: asyncio.Task[Any]) -> None:
    """Mark the task's exception as retrieved: a callback for tasks whose callers may all be cancelled before they end.

    Otherwise asyncio logs it as an error when the task is collected.
    """
    if not task.cancelled():
        task.exception()


@asynccontextmanager
async def task_group(*unwrapped: type[Exception]) -> AsyncIterator[asyncio.TaskGroup]:
    """Run a task group. If all its errors are of the `unwrapped` types, raise the first one in place of their group.

    An `except*` clause does not do: on Python 3.11.2 what it raises is in a group again.
    """
    try:
        with _no_request_to_cancel_after_a_failure():
            async with asyncio.TaskGroup() as group:
                yield group
    except ExceptionGroup as errors:
        matching, others = errors.split(unwrapped)
        if matching is None or others is not None:
            raise
        raise matching.exceptions[0] from None


@contextmanager
def _no_request_to_cancel_after_a_failure() -> Iterator[None]:
    """Take back the request to cancel the caller that a task group leaves.

    Before Python 3.13 it leaves one when a task fails while the group waits for its end; before 3.11.3, each later
    `asyncio.timeout` of the caller then ends with a CancelledError.
    """
    task = asyncio.current_task()
    requests = task.cancelling() if task else 0
    try:
        yield
    except asyncio.CancelledError:
        raise
    except BaseException:
        if task and task.cancelling() > requests:
            task.uncancel()
        raise


@asynccontextmanager
async def background_task(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run the coroutine as a task during the block, and cancel it at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await cancel_and_wait([task])
