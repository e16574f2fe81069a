"""Logs of recommendation requests on their way to Redis: collected for a moment, so that no answer waits for them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice

from app.tracking.entries import RequestLog
from app.tracking.intake import LOST, Intake
from indexer.ending import beside

MOMENT = 0.2
"""Seconds for which logs are collected; what a process that is killed loses."""

MAX_WAITING = 2000
MAX_BATCH = 200


class RequestLogs:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: deque[RequestLog] = deque()
        self._some = asyncio.Event()

    def add(self, log: RequestLog) -> None:
        """Never waits: a log too many is dropped and counted."""
        if len(self._waiting) >= MAX_WAITING:
            LOST.inc()
            return
        self._waiting.append(log)
        self._some.set()

    async def follow(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(MOMENT)
            await self.flush()

    async def flush(self) -> None:
        while batch := list(islice(self._waiting, MAX_BATCH)):
            await self._intake.log_recommendations(batch)
            # Not before: what was cut short is sent again, and by its id stored once.
            for _ in batch:
                self._waiting.popleft()
        self._some.clear()


@asynccontextmanager
async def running_request_logs(intake: Intake) -> AsyncIterator[RequestLogs]:
    """At the end what was collected is sent."""
    logs = RequestLogs(intake)
    try:
        async with beside(logs.follow()):
            yield logs
    finally:
        await logs.flush()
