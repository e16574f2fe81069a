"""Ctrl-C: one line at once, while everything that was started is stopped."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def announced_interrupts() -> Iterator[None]:
    """Print a line as soon as Ctrl-C is pressed within the block, and raise KeyboardInterrupt."""
    previous = signal.signal(signal.SIGINT, raise_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def raise_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # A second Ctrl-C would interrupt the stopping.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("Interrupted; stopping what was started ...", file=sys.stderr, flush=True)
    raise KeyboardInterrupt
