"""Logs of recommendation requests on their way to Redis: collected for a moment, so that no answer waits for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.tracking.entries import RequestLog
from app.tracking.intake import LOST, Intake

MOMENT = 0.05
"""Seconds for which logs are collected; what a process that is killed loses."""

MAX_WAITING = 2000
MAX_BATCH = 200


class RequestLogs:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: asyncio.Queue[RequestLog] = asyncio.Queue(MAX_WAITING)

    def add(self, log: RequestLog) -> None:
        """Never waits: a log too many is dropped and counted."""
        try:
            self._waiting.put_nowait(log)
        except asyncio.QueueFull:
            LOST.inc()

    async def follow(self) -> None:
        """Runs until it is cancelled."""
        while True:
            first = await self._waiting.get()
            await asyncio.sleep(MOMENT)
            await self._send([first])

    async def flush(self) -> None:
        while not self._waiting.empty():
            await self._send([])

    async def _send(self, batch: list[RequestLog]) -> None:
        while len(batch) < MAX_BATCH and not self._waiting.empty():
            batch.append(self._waiting.get_nowait())
        await self._intake.log_recommendations(batch)


@asynccontextmanager
async def running_request_logs(intake: Intake) -> AsyncIterator[RequestLogs]:
    """At the end what was collected is sent."""
    logs = RequestLogs(intake)
    following = asyncio.create_task(logs.follow())
    try:
        yield logs
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await logs.flush()
