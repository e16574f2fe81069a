"""Buffer of request logs: they are collected and sent in batches, so that no response waits for them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice

from app.tracking.producer import LOST, TrackingProducer
from app.tracking.records import RequestLog
from core.concurrency.tasks import background_task

FLUSH_SECONDS = 0.2
"""Seconds for which logs are collected, unless a batch is full earlier; a killed process loses these logs."""

BATCH_SIZE = 200
"""Logs in one round trip."""

MAX_BUFFERED = 10 * BATCH_SIZE


class RequestLogBuffer:
    def __init__(self, producer: TrackingProducer) -> None:
        self._producer = producer
        self._logs: deque[RequestLog] = deque()
        self._not_empty, self._batch_full = asyncio.Event(), asyncio.Event()

    def add(self, log: RequestLog) -> None:
        """Buffer a log without waiting. If the buffer is full, the log is dropped and counted."""
        if len(self._logs) >= MAX_BUFFERED:
            LOST.inc()
            return
        self._logs.append(log)
        self._not_empty.set()
        if len(self._logs) >= BATCH_SIZE:
            self._batch_full.set()

    async def run(self) -> None:
        """Send batches until cancelled."""
        while True:
            await self._not_empty.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._batch_full.wait()
            await self._send_batch()

    async def flush(self) -> None:
        while self._logs:
            await self._send_batch()

    async def _send_batch(self) -> None:
        batch = list(islice(self._logs, BATCH_SIZE))
        await self._producer.publish_request_logs(batch)
        # Removed only now: a batch that was cancelled is sent again, and its ids let each log be stored once.
        for _ in batch:
            self._logs.popleft()
        if not self._logs:
            self._not_empty.clear()
        if len(self._logs) < BATCH_SIZE:
            self._batch_full.clear()


@asynccontextmanager
async def running_request_log_buffer(producer: TrackingProducer) -> AsyncIterator[RequestLogBuffer]:
    """Send logs in the background during the block, and the remaining ones at its end."""
    buffer = RequestLogBuffer(producer)
    try:
        async with background_task(buffer.run()):
            yield buffer
    finally:
        await buffer.flush()
