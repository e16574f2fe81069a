import asyncio
import gc
import time

from core import process_metrics
from core.concurrency.tasks import background_task
from core.process_metrics import (
    COLLECTIONS,
    LONGEST_LAG,
    LOOP_LAG,
    PAUSES,
    PROCESS_PAUSES,
    report_process,
    watch_event_loop,
)
from tests.support.eventually import eventually


async def test_lag_of_a_blocked_event_loop_is_measured() -> None:
    before = LOOP_LAG._sum.get()
    async with background_task(watch_event_loop()):
        await asyncio.sleep(0)
        time.sleep(process_metrics.LAG_PERIOD_SECONDS + 0.1)
        await asyncio.sleep(0.01)
    assert LOOP_LAG._sum.get() - before >= 0.1


async def test_longest_lag_stays_for_a_minute() -> None:
    async with background_task(watch_event_loop()):
        await asyncio.sleep(0)
        time.sleep(process_metrics.LAG_PERIOD_SECONDS + 0.1)
        await eventually(lambda: LONGEST_LAG._value.get() >= 0.1)
        count = LOOP_LAG._sum.get()
        await eventually(lambda: LOOP_LAG._sum.get() > count)
        assert LONGEST_LAG._value.get() >= 0.1


def test_collections_and_their_pauses_are_counted() -> None:
    report_process()
    runs, seconds = COLLECTIONS.labels(2)._value.get(), PAUSES.labels(2)._value.get()
    gc.collect()
    report_process()
    assert COLLECTIONS.labels(2)._value.get() >= runs + 1
    assert PAUSES.labels(2)._value.get() > seconds
    assert PROCESS_PAUSES._value.get() > 0
