"""Lets searches see what was written and tells the caches, soon, but once for many changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

import structlog
from elasticsearch import ApiError, TransportError
from redis.asyncio import Redis

from indexer import metrics
from indexer.backends import Backends
from indexer.feed.batch import BatchResult
from indexer.index.outbox import LANES, ClaimedRow
from indexer.invalidation import publish
from schemas.invalidation import DEPARTURE, EVERYTHING

log = structlog.get_logger()

SPACING_SECONDS = 0.3
RETRY_SECONDS = 1.0


class ChangeNotifier:
    """Collects what batches did, and keeps it until Elasticsearch has shown it and Redis has told it.

    Whoever reads from Postgres must not wait for Elasticsearch: what was found to have changed is told at once, and
    departures again when searches see them.
    """

    def __init__(self, stores: Backends, redis: Redis) -> None:
        self._stores = stores
        self._redis = redis
        self._unrefreshed: list[ClaimedRow] = []
        # A worker that was killed may have written what nobody was told of.
        self._unpublished: set[str] = {EVERYTHING}
        self._to_show, self._to_tell = asyncio.Event(), asyncio.Event()
        self._to_tell.set()

    def note(self, batch: BatchResult) -> None:
        done = [row for row in batch.done if row.kind == DEPARTURE]
        done_ids = {row.id for row in done}
        if done:
            self._unrefreshed += done
            self._to_show.set()
        self.queue_publish(row.kind for row in batch.claimed if row.id not in done_ids and not row.attempts)

    async def run_refresh(self) -> None:
        """Until it is cancelled."""
        await _debounced(self._refresh, self._to_show)

    async def run_publish(self) -> None:
        """Until it is cancelled."""
        await _debounced(self._publish, self._to_tell)

    async def flush(self) -> bool:
        """False if something is still to be shown or told."""
        shown = await self._refresh()
        return await self._publish() and shown

    def queue_publish(self, kinds: Iterable[str]) -> None:
        """Caches, soon."""
        self._unpublished |= set(kinds)
        if self._unpublished:
            self._to_tell.set()

    async def _refresh(self) -> bool:
        rows, self._unrefreshed = self._unrefreshed, []
        if not rows:
            return True
        try:
            await self._stores.elasticsearch.indices.refresh(index=self._stores.alias)
        except (ApiError, TransportError) as error:
            log.warning("refresh_failed", error=type(error).__name__)
            # The index refreshes by itself soon; its lag is then that of the next success.
            self._unrefreshed = rows + self._unrefreshed
            return False
        now = datetime.now(UTC)
        for row in rows:
            metrics.LAG.labels(LANES[row.lane]).observe((now - row.created_at).total_seconds())
        self.queue_publish({DEPARTURE})
        return True

    async def _publish(self) -> bool:
        kinds, self._unpublished = self._unpublished, set()
        if not kinds:
            return True
        generation = await publish(self._redis, kinds)
        metrics.record_publication(generation)
        if generation is None:
            self._unpublished |= kinds
            return False
        return True


async def _debounced(step: Callable[[], Awaitable[bool]], due: asyncio.Event) -> None:
    """Whenever it is due, and again soon if it fails."""
    while True:
        await due.wait()
        due.clear()
        done = await step()
        if not done:
            due.set()
        await asyncio.sleep(SPACING_SECONDS if done else RETRY_SECONDS)
