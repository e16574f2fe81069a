"""Detect that no worker writes to the index of this document version any more, as after a release."""

import asyncio

import structlog

from app.backends.database import Database
from core.errors import BackendError
from indexer.index.worker_heartbeat import lacks_running_worker

log = structlog.get_logger()

POLL_SECONDS = 2.0


class IndexFreshnessMonitor:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_stale = False
        """Whether searches would miss changes that wait for a worker of this document version, which does not run."""

    async def run(self) -> None:
        """Check periodically, until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(POLL_SECONDS)

    async def check(self) -> None:
        """Update `is_stale` from Postgres; keep the last value while Postgres is unavailable."""
        try:
            async with self._database.write() as session:
                stale = await lacks_running_worker(await session.connection())
        except BackendError as error:
            log.debug("index_feed_unknown", error=type(error).__name__)
            return
        if stale != self.is_stale:
            log.warning("index_feed_changed", stale=stale)
        self.is_stale = stale
