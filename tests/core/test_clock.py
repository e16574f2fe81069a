import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from core.clock import watch_clock
from core.concurrency.tasks import background_task
from tests.support.eventually import eventually

METRIC = "smarttrip_clock_jumps_total"


@pytest.mark.parametrize("seconds", [3600, -3600, 1.5])
async def test_jump_is_counted_once(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    real, jump = time.time, 0.0
    monkeypatch.setattr("core.clock.time.time", lambda: real() + jump)
    before = REGISTRY.get_sample_value(METRIC) or 0.0
    async with background_task(watch_clock(check_seconds=0.01)):
        await asyncio.sleep(0.05)
        jump = seconds
        await eventually(lambda: (REGISTRY.get_sample_value(METRIC) or 0.0) > before)
        await asyncio.sleep(0.05)
    assert REGISTRY.get_sample_value(METRIC) == before + 1
