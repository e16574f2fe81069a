"""The time between being told to end and ending: requests are still answered, but no more are asked for."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

log = structlog.get_logger()


class DrainState:
    active = False


@contextmanager
def drain_on_sigterm(seconds: float) -> Iterator[DrainState]:
    """Puts off what SIGTERM does by `seconds`, in which load balancers notice that this process is not ready."""
    draining = DrainState()
    if threading.current_thread() is not threading.main_thread():
        yield draining
        return
    loop = asyncio.get_running_loop()
    end = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> None:
        if draining.active or not callable(end):
            signal.signal(number, end)
            signal.raise_signal(number)
            return
        draining.active = True
        log.info("draining", seconds=seconds)
        loop.call_soon_threadsafe(loop.call_later, seconds, end, number, frame)

    signal.signal(signal.SIGTERM, drain)
    try:
        yield draining
    finally:
        signal.signal(signal.SIGTERM, end)


def exit_with_parent() -> None:
    """A worker process whose parent was killed would serve on, with nobody to end it."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
