"""Lets searches see what was written and tells the caches, soon, but once for many changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

import structlog
from elasticsearch import ApiError, TransportError
from redis.asyncio import Redis

from indexer import metrics
from indexer.backends import Stores
from indexer.feed import fan_out
from indexer.feed.batch import Batch
from indexer.index.outbox import LANES, OCCURRENCE, Claimed
from indexer.invalidation import announce

log = structlog.get_logger()

SPACING_SECONDS = 0.3
RETRY_SECONDS = 1.0


class Announcer:
    """Collects what batches did, and keeps it until Elasticsearch has shown it and Redis has told it.

    Whoever reads from Postgres must not wait for Elasticsearch: what was found to have changed is told at once, and
    departures again when searches see them.
    """

    def __init__(self, stores: Stores, redis: Redis) -> None:
        self._stores = stores
        self._redis = redis
        self._unseen: list[Claimed] = []
        # A worker that was killed may have written what nobody was told of.
        self._untold: set[str] = {fan_out.ALL}
        self._to_show, self._to_tell = asyncio.Event(), asyncio.Event()
        self._to_tell.set()

    def note(self, batch: Batch) -> None:
        done = [row for row in batch.done if row.kind == OCCURRENCE]
        done_ids = {row.id for row in done}
        if done:
            self._unseen += done
            self._to_show.set()
        self.will_tell(row.kind for row in batch.claimed if row.id not in done_ids and not row.attempts)

    async def keep_showing(self) -> None:
        """Until it is cancelled."""
        await _repeat(self._show, self._to_show)

    async def keep_telling(self) -> None:
        """Until it is cancelled."""
        await _repeat(self._tell, self._to_tell)

    async def flush(self) -> bool:
        """False if something is still to be shown or told."""
        shown = await self._show()
        return await self._tell() and shown

    def will_tell(self, kinds: Iterable[str]) -> None:
        """Caches, soon."""
        self._untold |= set(kinds)
        if self._untold:
            self._to_tell.set()

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
            metrics.LAG.labels(LANES[row.lane]).observe((now - row.created_at).total_seconds())
        self.will_tell({OCCURRENCE})
        return True

    async def _tell(self) -> bool:
        kinds, self._untold = self._untold, set()
        if not kinds or await announce(self._redis, kinds):
            return True
        self._untold |= kinds
        return False


async def _repeat(step: Callable[[], Awaitable[bool]], due: asyncio.Event) -> None:
    """Whenever it is due, and again soon if it fails."""
    while True:
        await due.wait()
        due.clear()
        done = await step()
        if not done:
            due.set()
        await asyncio.sleep(SPACING_SECONDS if done else RETRY_SECONDS)
