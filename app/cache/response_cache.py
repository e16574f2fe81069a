"""Two-level response cache, in the process and in Redis, with single flight: a missing body is loaded once.

Entries become outdated when an entity kind that they depend on changes, or when their time to live ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import product
from operator import attrgetter
from typing import Literal, TypeGuard, get_args

from cachetools import LRUCache
from prometheus_client import Counter

from app.cache.entry import StoredEntry
from app.cache.invalidation import InvalidationState
from app.cache.redis_store import RedisStore
from app.http.encoded_body import EncodedBody, encode_body
from core.errors import BackendError
from core.metrics.buffered_counter import BufferedCounter
from core.metrics.labels import with_values
from core.request_record import record_cache
from schemas.invalidation import EntityKind

Source = Literal["process", "redis", "shared", "fill", "stale"]
"""What answered a lookup: a level of the cache, the load of another caller, its own load, or an old body."""

CacheKind = Literal["recommendations", "reference", "trips", "lookups"]
"""What is cached: responses, or what they are made from (`lookups`)."""

LOOKUPS = with_values(
    Counter("smarttrip_cache_lookups", "Lookups by where the answer came from", ["source", "kind"]),
    get_args(Source),
    get_args(CacheKind),
)

COUNTERS = {
    (source, kind): BufferedCounter(LOOKUPS.labels(source, kind))
    for source, kind in product(get_args(Source), get_args(CacheKind))
}

Loader = Callable[[], Awaitable[bytes]]

PROCESS_SECONDS = 1.0
"""Seconds for which a process uses its local copy: the bound on staleness while no invalidation is received."""

STALE_SECONDS = 5.0
"""Seconds for which a stale body is served before loading is tried again."""

WAIT_SECONDS = 1.0
"""Seconds to wait for another process that loads the same body, before loading it here as well."""

POLL_SECONDS = 0.02

ENTRY_OVERHEAD = 500
"""Bytes that an entry takes in memory besides its body and its key."""


@dataclass(frozen=True, slots=True)
class CacheRequest:
    key: str
    depends_on: frozenset[EntityKind]
    load: Loader
    ttl: float
    kind: CacheKind

    @property
    def compress(self) -> bool:
        """Whether the cache compresses the body: recommendations are compressed already."""
        return self.kind != "recommendations"


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """A body in the process's memory; `fresh_until` is on the monotonic clock."""

    body: EncodedBody
    generation: int
    fresh_until: float
    size: int
    """Bytes in memory, the key included."""


@dataclass(frozen=True, slots=True)
class InFlight:
    generation: int
    task: asyncio.Task[EncodedBody]


class ResponseCache:
    def __init__(
        self,
        store: RedisStore,
        invalidation: InvalidationState,
        *,
        max_bytes: int = 12 * 1024 * 1024,
        replica_lag_seconds: float = 0.0,
    ) -> None:
        """Give a short TTL to bodies loaded within `replica_lag_seconds` of a change: a replica may lag."""
        self._store = store
        self._invalidation = invalidation
        self._replica_lag_seconds = replica_lag_seconds
        self._local: LRUCache[str, LocalEntry] = LRUCache(max_bytes, getsizeof=attrgetter("size"))
        self._in_flight: dict[str, InFlight] = {}

    async def get(
        self,
        key: str,
        depends_on: frozenset[EntityKind],
        load: Loader,
        ttl: float,
        *,
        kind: CacheKind = "lookups",
    ) -> EncodedBody:
        """Return a body at most `ttl` seconds old that reflects the last change of the kinds it depends on.

        Of all callers that miss it, in all processes, one calls `load`. If that raises a BackendError, an older body
        is returned, marked stale; without one the error is raised. Other errors are raised, and nothing is cached.
        """
        body = self.get_local(key, depends_on, kind)
        if body is not None:
            return body
        flight = self._in_flight.get(key)
        if flight is None or not self._invalidation.is_current(flight.generation, depends_on):
            flight = self._start_load(CacheRequest(key, depends_on, load, ttl, kind))
            return await asyncio.shield(flight.task)
        # Shielded: a caller that is cancelled must not cancel the load for the others.
        body = await asyncio.shield(flight.task)
        _count("shared", kind)
        return body

    def get_local(self, key: str, depends_on: frozenset[EntityKind], kind: CacheKind = "lookups") -> EncodedBody | None:
        """Return the body if this process has a current copy, else None."""
        entry = self._local.get(key)
        if (
            entry is None
            or entry.fresh_until <= time.monotonic()
            or not self._invalidation.is_current(entry.generation, depends_on)
        ):
            return None
        _count("process", kind)
        return entry.body

    async def close(self) -> None:
        """Wait for the loads under way."""
        await asyncio.gather(*(flight.task for flight in self._in_flight.values()), return_exceptions=True)

    def _start_load(self, request: CacheRequest) -> InFlight:
        generation = self._invalidation.current
        flight = InFlight(generation, asyncio.create_task(self._resolve(request, generation)))
        self._in_flight[request.key] = flight

        def finish(task: asyncio.Task[EncodedBody]) -> None:
            if self._in_flight.get(request.key) is flight:
                del self._in_flight[request.key]
            if not task.cancelled():
                # Marks an exception as retrieved, in case every caller was cancelled.
                task.exception()

        flight.task.add_done_callback(finish)
        return flight

    async def _resolve(self, request: CacheRequest, generation: int) -> EncodedBody:
        """Return a current body from Redis, or load it once the lock is free or the wait is over."""
        if not self._invalidation.connected:
            return await self._load(request, generation, older=None)
        entry = await self._store.read(request.key)
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._is_usable(entry, request):
            locked, entry = await self._store.lock_and_get(request.key, generation)
            if locked:
                return await self._load_with_lock(request, generation, entry)
            if time.monotonic() > deadline:
                return await self._load(request, generation, entry)
            await asyncio.sleep(POLL_SECONDS)
        return self._accept(request, entry)

    def _is_usable(self, entry: StoredEntry | None, request: CacheRequest) -> TypeGuard[StoredEntry]:
        return (
            entry is not None
            and entry.fresh_seconds > 0
            and self._invalidation.is_current(entry.generation, request.depends_on)
        )

    def _accept(self, request: CacheRequest, entry: StoredEntry) -> EncodedBody:
        _count("redis", request.kind)
        return self._store_local(request.key, entry.body, entry.generation, entry.fresh_seconds)

    async def _load_with_lock(self, request: CacheRequest, generation: int, entry: StoredEntry | None) -> EncodedBody:
        try:
            if self._is_usable(entry, request):
                return self._accept(request, entry)
            return await self._load(request, generation, entry)
        finally:
            await self._store.unlock(request.key, generation)

    async def _load(self, request: CacheRequest, generation: int, older: StoredEntry | None) -> EncodedBody:
        try:
            identity = await request.load()
        except BackendError as error:
            return self._serve_stale(request, generation, older, error)
        _count("fill", request.kind)
        body = await encode_body(identity, compress=request.compress)
        ttl = request.ttl
        if self._invalidation.changed_within(self._replica_lag_seconds, request.depends_on):
            ttl = min(ttl, PROCESS_SECONDS)
        # A change during the load may be missing from this body: callers that came before it get the body, later ones
        # do not.
        if self._invalidation.is_current(generation, request.depends_on):
            self._store_local(request.key, body, generation, ttl)
            if self._invalidation.connected:
                entry = StoredEntry(body, generation, time.monotonic() + ttl, stale_seconds=request.ttl)
                await self._store.write(request.key, entry)
        return body

    def _serve_stale(
        self, request: CacheRequest, generation: int, older: StoredEntry | None, error: BackendError
    ) -> EncodedBody:
        entry = older or self._local.get(request.key)
        if entry is None:
            raise error
        _count("stale", request.kind)
        stale = replace(entry.body, stale=True)
        return self._store_local(request.key, stale, generation, STALE_SECONDS, max_seconds=STALE_SECONDS)

    def _store_local(
        self, key: str, body: EncodedBody, generation: int, ttl: float, *, max_seconds: float = PROCESS_SECONDS
    ) -> EncodedBody:
        size = len(key) + len(body.identity) + len(body.gzip or b"") + ENTRY_OVERHEAD
        if size <= self._local.maxsize:
            self._local[key] = LocalEntry(body, generation, time.monotonic() + min(ttl, max_seconds), size)
        return body


def _count(source: Source, kind: CacheKind) -> None:
    """Count a lookup, and record what answered it in the record of the current request."""
    COUNTERS[source, kind].count += 1
    record_cache(source)
