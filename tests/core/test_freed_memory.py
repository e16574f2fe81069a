"""Memory that is freed between blocks in use goes back to the system.

In a process of its own: one that has done more has holes already, in which blocks are not neighbours.
"""

import subprocess
import sys

PROGRAM = """
import asyncio
from contextlib import suppress
import psutil
from core.freed_memory import keep_trimmed

# What is kept is too large for holes that were there before, as of modules that had to be compiled.
blocks = [(bytes([1]) * 100_000, bytes([2]) * 50_000) for _ in range(400)]
kept = [kept for _, kept in blocks]
del blocks
with_free = psutil.Process().memory_info().rss

async def main():
    with suppress(TimeoutError):
        await asyncio.wait_for(keep_trimmed(seconds=0.01), timeout=0.5)

asyncio.run(main())
print(with_free - psutil.Process().memory_info().rss)
"""


def test_freed_memory_goes_back_to_the_system_while_what_surrounds_it_stays() -> None:
    completed = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(completed.stdout) > 20_000_000
