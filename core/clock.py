"""Notice jumps of the wall clock, by comparing it with the monotonic one."""

import asyncio
import time

import structlog
from prometheus_client import Counter

log = structlog.get_logger()

CHECK_SECONDS = 1.0
TOLERANCE_SECONDS = 1.0
"""Smallest jump that is reported; slower corrections are normal."""

JUMPS = Counter("smarttrip_clock_jumps_total", "Times that the clock of the machine jumped by more than a second")


async def watch_clock(check_seconds: float = CHECK_SECONDS) -> None:
    """Log and count jumps until cancelled."""
    offset = _offset()
    while True:
        await asyncio.sleep(check_seconds)
        jump = _offset() - offset
        if abs(jump) > TOLERANCE_SECONDS:
            JUMPS.inc()
            log.warning("clock_jumped", seconds=round(jump, 3))
        offset += jump


def _offset() -> float:
    return time.time() - time.monotonic()
