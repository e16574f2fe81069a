import asyncio
import gc
import time

from core import process_metrics
from core.process_metrics import COLLECTIONS, LOOP_LAG, PAUSES, report_process, watch_event_loop
from core.tasks import background_task


async def test_lag_of_a_blocked_event_loop_is_measured() -> None:
    before = LOOP_LAG._sum.get()
    async with background_task(watch_event_loop()):
        await asyncio.sleep(0)
        time.sleep(process_metrics.LAG_PERIOD_SECONDS + 0.1)
        await asyncio.sleep(0.01)
    assert LOOP_LAG._sum.get() - before >= 0.1


def test_collections_and_their_pauses_are_counted() -> None:
    report_process()
    runs, seconds = COLLECTIONS.labels(2)._value.get(), PAUSES.labels(2)._value.get()
    gc.collect()
    report_process()
    assert COLLECTIONS.labels(2)._value.get() >= runs + 1
    assert PAUSES.labels(2)._value.get() > seconds
