"""Graceful shutdown: between SIGTERM and the end, the process serves requests but reports that it is not ready."""

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
    """True from SIGTERM on."""


@contextmanager
def drain_on_sigterm(seconds: float) -> Iterator[DrainState]:
    """Delay the effect of SIGTERM by `seconds`, in which load balancers notice that the process is not ready.

    A second SIGTERM takes effect at once. Outside the main thread, which handles signals, nothing is delayed.
    """
    draining = DrainState()
    if threading.current_thread() is not threading.main_thread():
        yield draining
        return
    loop = asyncio.get_running_loop()
    previous = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> None:
        if draining.active or not callable(previous):
            signal.signal(number, previous)
            signal.raise_signal(number)
            return
        draining.active = True
        log.info("draining", seconds=seconds)
        loop.call_soon_threadsafe(loop.call_later, seconds, previous, number, frame)

    signal.signal(signal.SIGTERM, drain)
    try:
        yield draining
    finally:
        signal.signal(signal.SIGTERM, previous)


def exit_with_parent() -> None:
    """Let a worker process terminate once its parent has ended; otherwise nothing would stop it."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def terminate_after_parent() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate_after_parent, daemon=True).start()
