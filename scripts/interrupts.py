"""Ctrl-C: one line at once, while everything that was started is stopped."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

from scripts.standard_streams import print_error

Result = TypeVar("Result")


@contextmanager
def announced_interrupts() -> Iterator[None]:
    """Print a line as soon as Ctrl-C is pressed within the block, and raise KeyboardInterrupt."""
    previous = signal.signal(signal.SIGINT, raise_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def raise_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    _announce()
    raise KeyboardInterrupt


def run_cancellable(
    main: Coroutine[None, None, Result], new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> Result:
    """Run a coroutine in a loop of its own. Ctrl-C cancels it, and raises KeyboardInterrupt when it has ended.

    An exception out of a signal handler could rise in the middle of a callback: one connection would never close then.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals are the main thread's.
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(main)
    following = signal.getsignal(signal.SIGINT)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(_cancelled_by_ctrl_c(main))
    except KeyboardInterrupt:
        following = signal.SIG_IGN
        raise
    finally:
        signal.signal(signal.SIGINT, following)


async def _cancelled_by_ctrl_c(main: Coroutine[None, None, Result]) -> Result:
    task = asyncio.ensure_future(main)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()
        _announce()

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    try:
        return await task
    finally:
        if interrupted:
            raise KeyboardInterrupt


def _announce() -> None:
    # A second Ctrl-C would interrupt the stopping.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print_error("Interrupted; stopping what was started ...")
