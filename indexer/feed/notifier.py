"""Make writes visible to searches and invalidate caches, debounced: once for many changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from uuid import uuid4

import structlog
from elasticsearch import ApiError, TransportError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.errors import BACKEND_ERRORS
from core.generation import current_generation
from core.metrics.labels import with_values
from core.tracing import spans
from indexer import metrics, publisher_leases, unpublished_changes
from indexer.backends import Backends
from indexer.feed.batch import BatchResult
from indexer.feed.batch_span import oldest_age
from indexer.feed.pending_invalidations import PendingInvalidations, WrittenDepartures
from indexer.index.outbox import DIRECT, FANNED_OUT, LANES
from indexer.invalidation_publisher import publish
from schemas.invalidation_message import DEPARTURE, EVERYTHING

log = structlog.get_logger()

DEBOUNCE_SECONDS = 0.3
"""Shortest time between two refreshes of the index, and between two messages to caches."""
RETRY_SECONDS = 1.0
REMOVE_SECONDS = 1.0
"""Seconds that a shutdown waits for Postgres, when all is published."""

REMEMBER_SECONDS = 60.0
"""Seconds after a publication in which its rows are looked for in Postgres. Those of a commit that failed may never
appear."""

with_values(metrics.LAG, [LANES[DIRECT], LANES[FANNED_OUT]])


MAX_TRACES = 100
"""Traces of batches that a span of a refresh or a publication is linked to."""


def _add_traces(traces: list[str], added: Sequence[str]) -> None:
    traces += [trace for trace in added if trace][: MAX_TRACES - len(traces)]


class ChangeNotifier:
    """Collects changes until Elasticsearch has refreshed the index and Redis has published a message.

    Upstream changes, and departures that could not be written, are published after their first batch: some responses
    are made from Postgres and must not wait for Elasticsearch. Departures that were written are published once the
    index is refreshed, so that searches find them.
    """

    def __init__(self, backends: Backends, redis: Redis, *, debounce_seconds: float = DEBOUNCE_SECONDS) -> None:
        self._backends = backends
        self._redis = redis
        self._debounce_seconds = debounce_seconds
        self._unrefreshed: list[WrittenDepartures] = []
        # A worker that was killed may have written changes that were not published.
        self._unpublished = PendingInvalidations()
        self._unpublished.add([EVERYTHING])
        self._unrefreshed_traces: list[str] = []
        self._unpublished_traces: list[str] = []
        """Traces of the batches with these changes, as far as they are recorded."""
        self._published_records: dict[int, float] = {}
        """Ids of rows of unpublished changes in Postgres that are published, with the time of the publication."""
        self.publisher = uuid4()
        """Identity of this process among those that publish."""
        self._registered = False
        self.generation = 0
        """Number of the last change that was published, as far as this process has seen."""
        self._refresh_due, self._publish_due, self._removal_due = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._publish_due.set()

    async def register(self) -> None:
        """Register this process in Postgres before its first batch: if it is killed, another publishes in its place.

        Raises: DBAPIError and other errors of Postgres.
        """
        if not self._registered:
            async with self._backends.postgres.begin() as connection:
                await publisher_leases.renew(connection, self.publisher)
            self._registered = True

    def record(self, batch: BatchResult) -> None:
        """Record the changes of a batch.

        Rows that failed are published at their first attempt.
        """
        done = [row for row in batch.done if row.kind == DEPARTURE]
        done_ids = {row.id for row in done}
        if done:
            self._unrefreshed.append(WrittenDepartures(done, batch.listed, batch.record))
            _add_traces(self._unrefreshed_traces, [batch.trace])
            self._refresh_due.set()
        kinds = {row.kind for row in batch.claimed if row.id not in done_ids and not row.attempts}
        _add_traces(self._unpublished_traces, [batch.trace] if kinds else [])
        self.queue_publish(kinds)

    def queue_publish(self, kinds: Iterable[str]) -> None:
        self._unpublished.add(kinds)
        self._set_publish_due()

    def _set_publish_due(self) -> None:
        if self._unpublished.kinds:
            self._publish_due.set()

    async def run_refresh(self) -> None:
        """Refresh the index whenever it is due, until cancelled."""
        await self._debounced(self._refresh, self._refresh_due)

    async def run_publish(self) -> None:
        """Publish whenever it is due, until cancelled."""
        await self._debounced(self._publish, self._publish_due)

    async def run_removal(self) -> None:
        """Remove from Postgres what is published whenever it is due, until cancelled."""
        await self._debounced(self._remove_published, self._removal_due)

    async def run_take_over(self) -> None:
        """Publish in place of processes that are gone, until cancelled."""
        while True:
            try:
                await self.take_over()
            except BACKEND_ERRORS as error:
                log.warning("publisher_not_renewed", error=type(error).__name__)
            await self._read_generation()
            await asyncio.sleep(publisher_leases.RENEW_SECONDS)

    async def _read_generation(self) -> None:
        """Take note of what others have published, so that caches need not assume that this process has missed it."""
        with suppress(RedisError, ValueError):
            found = await current_generation(self._redis, self.generation)
            # It may have published in the meantime.
            self.generation = max(self.generation, found)

    async def take_over(self) -> None:
        """Renew the registration of this process, and have everything published if another one is gone.

        Raises: DBAPIError and other errors of Postgres.
        """
        async with self._backends.postgres.begin() as connection:
            await publisher_leases.renew(connection, self.publisher)
            adopted = await publisher_leases.take_over(connection, self.publisher)
            if adopted is not None:
                # Before the commit, which may be done although it fails: nobody else would publish then. Those that
                # are gone commit nothing more of their own: their rows are locked.
                self._unpublished.records += adopted
                self.queue_publish({EVERYTHING})
        # What is published already may have become this publisher's by the commit only.
        self._removal_due.set()

    async def flush(self) -> bool:
        """Refresh and publish now; return whether nothing is left to do."""
        refreshed = await self._refresh()
        published = await self._publish()
        return await self._remove_published() and published and refreshed

    async def finish(self) -> None:
        """Refresh and publish for the last time. What is left to do, another process takes over."""
        if await self.flush():
            try:
                async with asyncio.timeout(REMOVE_SECONDS), self._backends.postgres.begin() as connection:
                    await publisher_leases.remove(connection, self.publisher)
            except BACKEND_ERRORS as error:
                log.warning("publisher_not_removed", error=type(error).__name__)

    async def _refresh(self) -> bool:
        if not self._unrefreshed:
            return True
        # They stay until they are refreshed, even if this is cancelled.
        written, traces = [*self._unrefreshed], [*self._unrefreshed_traces]
        rows = [row for departures in written for row in departures.rows]
        try:
            with spans.follow("refresh index", traces) as span:
                refreshed = await self._backends.elasticsearch.indices.refresh(
                    index=self._backends.alias, ignore_unavailable=True
                )
                span.set({"smarttrip.change.age_seconds": oldest_age(rows)})
        except (ApiError, TransportError) as error:
            # The index refreshes by itself soon; the lag is then observed at the next success.
            log.warning("refresh_failed", error=type(error).__name__)
            return False
        if refreshed["_shards"]["failed"]:
            log.warning("refresh_failed", error="shards failed")
            return False
        self._unrefreshed = self._unrefreshed[len(written) :]
        now = monotonic()
        for row in rows:
            metrics.LAG.labels(LANES[row.lane]).observe(now - row.changed_at)
        self._unrefreshed_traces = self._unrefreshed_traces[len(traces) :]
        _add_traces(self._unpublished_traces, traces)
        self._unpublished.add_written(written)
        self._set_publish_due()
        return True

    async def _publish(self) -> bool:
        unpublished, self._unpublished = self._unpublished, PendingInvalidations()
        kinds = unpublished.kinds
        if not kinds:
            return True
        generation = None
        traces = [*self._unpublished_traces]
        try:
            with spans.follow("invalidate caches", traces, {"smarttrip.kinds": ",".join(sorted(kinds))}, "producer"):
                departures = unpublished.listed_departures()
                generation = await publish(self._redis, kinds, departures, known=self.generation)
        finally:
            # Also if this was cancelled: then it may be published twice.
            if generation is None:
                self._unpublished.add_back(unpublished)
        metrics.record_publication(generation)
        if generation is None:
            return False
        self._unpublished_traces = self._unpublished_traces[len(traces) :]
        self.generation = max(self.generation, generation)
        self._published_records |= dict.fromkeys(unpublished.records, monotonic())
        self._removal_due.set()
        return True

    async def _remove_published(self) -> bool:
        if not self._published_records:
            return True
        try:
            async with self._backends.postgres.begin() as connection:
                removed = await unpublished_changes.remove(connection, self.publisher, self._published_records)
        except BACKEND_ERRORS as error:
            log.warning("published_not_removed", error=type(error).__name__)
            return False
        # Of a commit that failed nobody knows yet: what it has added may still appear.
        since = monotonic() - REMEMBER_SECONDS
        left = {id_: at for id_, at in self._published_records.items() if id_ not in removed and at > since}
        self._published_records = left
        return True

    async def _debounced(self, step: Callable[[], Awaitable[bool]], due: asyncio.Event) -> None:
        """Run the step whenever it is due, and again if it fails."""
        while True:
            await due.wait()
            due.clear()
            done = await step()
            if not done:
                due.set()
            await asyncio.sleep(self._debounce_seconds if done else RETRY_SECONDS)
