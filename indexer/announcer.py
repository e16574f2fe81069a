"""Lets searches see what was written and tells the caches, soon, but once for many changes."""

import asyncio
from datetime import UTC, datetime

import structlog
from elasticsearch import ApiError, TransportError
from redis.asyncio import Redis

from indexer import fan_out, metrics
from indexer.announce import announce
from indexer.batch import Batch
from indexer.outbox import DIRECT, OCCURRENCE, Claimed
from indexer.stores import Stores

log = structlog.get_logger()

SPACING_SECONDS = 0.3
RETRY_SECONDS = 1.0


class Announcer:
    """Collects what batches did, and keeps it until Elasticsearch has shown it and Redis has told it."""

    def __init__(self, stores: Stores, redis: Redis) -> None:
        self._stores = stores
        self._redis = redis
        self._unseen: list[Claimed] = []
        # A worker that was killed may have written what nobody was told of.
        self._untold: set[str] = {fan_out.ALL}
        self._something = asyncio.Event()
        self._something.set()

    def note(self, batch: Batch) -> None:
        if batch.claimed:
            self._unseen += (row for row in batch.done if row.kind == OCCURRENCE)
            kept = {row.id for row in batch.kept}
            self._untold |= {row.kind for row in batch.claimed if row.id not in kept}
            self._something.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._something.wait()
            done = await self.flush()
            await asyncio.sleep(SPACING_SECONDS if done else RETRY_SECONDS)

    async def flush(self) -> bool:
        """False if something is still to be shown or told."""
        self._something.clear()
        if await self._show() and await self._tell():
            return True
        self._something.set()
        return False

    async def _show(self) -> bool:
        rows, self._unseen = self._unseen, []
        if not rows:
            return True
        try:
            await self._stores.elasticsearch.indices.refresh(index=self._stores.alias)
        except (ApiError, TransportError) as error:
            log.warning("refresh_failed", error=type(error).__name__)
            # The index refreshes by itself soon; its lag is then that of the next success.
            self._unseen = rows + self._unseen
            return False
        now = datetime.now(UTC)
        for row in rows:
            lane = "direct" if row.lane == DIRECT else "fanned"
            metrics.LAG.labels(lane).observe((now - row.created_at).total_seconds())
        return True

    async def _tell(self) -> bool:
        kinds, self._untold = self._untold, set()
        if not kinds or await announce(self._redis, kinds):
            return True
        self._untold |= kinds
        return False
