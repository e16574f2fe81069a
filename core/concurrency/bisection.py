"""Isolate the bad items of a batch that can only succeed or fail as a whole."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def process_with_bisection(
    items: Sequence[Item],
    process: Callable[[Sequence[Item]], Awaitable[Result]],
    reject: Callable[[Item, Exception], Awaitable[Result]],
    *,
    errors: tuple[type[Exception], ...],
) -> list[Result]:
    """Process `items` as one batch, and a batch that fails in halves, down to single items, in order.

    `process` raises one of `errors` if any item of its batch is bad; `reject` gets each bad item with its error. The
    results of both are returned. Other exceptions pass.
    """
    try:
        return [await process(items)]
    except errors as error:
        if len(items) <= 1:
            return [await reject(item, error) for item in items]
    middle = len(items) // 2
    return [
        *await process_with_bisection(items[:middle], process, reject, errors=errors),
        *await process_with_bisection(items[middle:], process, reject, errors=errors),
    ]
