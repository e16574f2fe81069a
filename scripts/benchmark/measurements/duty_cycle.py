"""A process that runs for a part of the time only, as on a machine that is slower by that factor."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import kill
from signal import SIGCONT, SIGSTOP

RUN_SECONDS = 0.004
"""Short against a search, so that each search is slowed, not some of them stopped."""


@contextmanager
def slowed(pid: int, share: float) -> Iterator[None]:
    """Let the process run for this share of the time during the block."""
    ended = threading.Event()
    thread = threading.Thread(target=_alternate, args=(pid, share, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _alternate(pid: int, share: float, ended: threading.Event) -> None:
    with suppress(ProcessLookupError):
        while not ended.is_set():
            began = time.perf_counter()
            time.sleep(RUN_SECONDS)
            kill(pid, SIGSTOP)
            # A busy machine wakes us late: the pause is in proportion to how long it has run in fact.
            time.sleep((time.perf_counter() - began) * (1 / share - 1))
            kill(pid, SIGCONT)
