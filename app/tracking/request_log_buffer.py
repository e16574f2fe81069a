"""Logs of recommendation requests on their way to Redis: collected for a moment, so that no answer waits for them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice

from app.tracking.producer import LOST, Intake
from app.tracking.records import RequestLog
from core.tasks import beside

MOMENT = 0.2
"""Seconds for which logs are collected, unless there are enough; what a process that is killed loses."""

ENOUGH = 200
"""For one round trip."""
MAX_WAITING = 10 * ENOUGH


class RequestLogs:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: deque[RequestLog] = deque()
        self._some, self._enough = asyncio.Event(), asyncio.Event()

    def add(self, log: RequestLog) -> None:
        """Never waits: a log too many is dropped and counted."""
        if len(self._waiting) >= MAX_WAITING:
            LOST.inc()
            return
        self._waiting.append(log)
        self._some.set()
        if len(self._waiting) >= ENOUGH:
            self._enough.set()

    async def follow(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(MOMENT):
                    await self._enough.wait()
            await self._send()

    async def flush(self) -> None:
        while self._waiting:
            await self._send()

    async def _send(self) -> None:
        batch = list(islice(self._waiting, ENOUGH))
        await self._intake.log_recommendations(batch)
        # Not before: what was cut short is sent again, and by its id stored once.
        for _ in batch:
            self._waiting.popleft()
        if not self._waiting:
            self._some.clear()
        if len(self._waiting) < ENOUGH:
            self._enough.clear()


@asynccontextmanager
async def running_request_logs(intake: Intake) -> AsyncIterator[RequestLogs]:
    """At the end what was collected is sent."""
    logs = RequestLogs(intake)
    try:
        async with beside(logs.follow()):
            yield logs
    finally:
        await logs.flush()
