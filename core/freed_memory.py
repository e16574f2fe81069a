"""Give memory that was freed back to the system.

The C library keeps what is free between blocks that are in use. Searches hold several bodies of 100 kB each for a
moment, among cached ones that stay: 6 of 157 MB were free. To map each such body apart would keep none, but takes a
fifth more CPU time for a search.
"""

import asyncio
import ctypes
from typing import NoReturn

TRIM_SECONDS = 5.0
"""Time between two returns, each of which takes some milliseconds in a process that has searched meanwhile."""


async def keep_trimmed(seconds: float = TRIM_SECONDS) -> NoReturn:
    """Return what is free every so many seconds until cancelled, in a thread."""
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(trim)


def trim() -> None:
    """Return what is free, if the C library is one that can."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
