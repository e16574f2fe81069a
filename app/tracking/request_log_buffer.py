"""Logs of recommendation requests on their way to Redis: collected for a moment, so that no answer waits for them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice

from app.tracking.producer import LOST, TrackingProducer
from app.tracking.records import RequestLog
from core.tasks import background_task

FLUSH_SECONDS = 0.2
"""Seconds for which logs are collected, unless there are enough; what a process that is killed loses."""

BATCH_SIZE = 200
"""For one round trip."""
MAX_WAITING = 10 * BATCH_SIZE


class RequestLogBuffer:
    def __init__(self, intake: TrackingProducer) -> None:
        self._intake = intake
        self._waiting: deque[RequestLog] = deque()
        self._not_empty, self._batch_full = asyncio.Event(), asyncio.Event()

    def add(self, log: RequestLog) -> None:
        """Never waits: a log too many is dropped and counted."""
        if len(self._waiting) >= MAX_WAITING:
            LOST.inc()
            return
        self._waiting.append(log)
        self._not_empty.set()
        if len(self._waiting) >= BATCH_SIZE:
            self._batch_full.set()

    async def follow(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await self._not_empty.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._batch_full.wait()
            await self._send()

    async def flush(self) -> None:
        while self._waiting:
            await self._send()

    async def _send(self) -> None:
        batch = list(islice(self._waiting, BATCH_SIZE))
        await self._intake.log_recommendations(batch)
        # Not before: what was cut short is sent again, and by its id stored once.
        for _ in batch:
            self._waiting.popleft()
        if not self._waiting:
            self._not_empty.clear()
        if len(self._waiting) < BATCH_SIZE:
            self._batch_full.clear()


@asynccontextmanager
async def running_request_log_buffer(intake: TrackingProducer) -> AsyncIterator[RequestLogBuffer]:
    """At the end what was collected is sent."""
    logs = RequestLogBuffer(intake)
    try:
        async with background_task(logs.follow()):
            yield logs
    finally:
        await logs.flush()
