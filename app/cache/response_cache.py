"""Two-level response cache, in the process and in Redis, with single flight: a missing body is loaded once.

Entries become outdated when an entity kind that they depend on changes, or when their time to live ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import product
from operator import attrgetter
from typing import Literal, TypeAlias, get_args

from cachetools import LRUCache
from prometheus_client import Counter

from app.cache.entry import StoredEntry
from app.cache.invalidation_state import InvalidationState
from app.cache.recent_departure_changes import NOT_AFFECTED, OUTDATED, IsAffected, is_affected_by_any
from app.cache.redis_store import RedisStore
from app.http.encoded_body import EncodedBody, encode_body
from core.concurrency.tasks import discard_exception
from core.errors import BackendError
from core.metrics.buffered_counter import BufferedCounter
from core.metrics.labels import with_values
from core.request_record import record_cache
from schemas.invalidation_message import DEPARTURE, EntityKind

CacheLevel = Literal["process", "redis", "shared", "fill", "stale"]
"""What answered a lookup: a level of the cache, the load of another caller, its own load, or an old body."""

CacheKind = Literal["recommendations", "reference", "trips", "lookups"]
"""What is cached: responses, or what they are made from (`lookups`)."""

LOOKUPS = with_values(
    Counter("smarttrip_cache_lookups_total", "Lookups by where the answer came from", ["source", "kind"]),
    get_args(CacheLevel),
    get_args(CacheKind),
)

COUNTERS = {
    (level, kind): BufferedCounter(LOOKUPS.labels(level, kind))
    for level, kind in product(get_args(CacheLevel), get_args(CacheKind))
}

Loader = Callable[[], Awaitable[bytes]]

ReadDependency = Callable[[EncodedBody], IsAffected]
"""Return which changes of departures affect a body that depends on some departures only."""

DEPARTURES: frozenset[EntityKind] = frozenset((DEPARTURE,))

PROCESS_SECONDS = 1.0
"""Seconds for which a process uses its local copy: the bound on staleness while no invalidation is received."""

STALE_SECONDS = 5.0
"""Seconds for which a stale body is served before loading is tried again."""

WAIT_SECONDS = 1.0
"""Seconds to wait for another process that loads the same body, before loading it here as well."""

POLL_SECONDS = 0.02

BRIEF_BYTES = 2 * 1024 * 1024
"""Room for bodies that are of no use once they have expired: more than a process makes in PROCESS_SECONDS."""

ENTRY_OVERHEAD = 500
"""Bytes that an entry takes in memory besides its body and its key."""

DEPENDENCY_OVERHEAD = 3000
"""The same of what an entry depends on: its search, and a copy of the dependency in its body."""


@dataclass(frozen=True, slots=True)
class CacheRequest:
    key: str
    depends_on: frozenset[EntityKind]
    load: Loader
    ttl: float
    kind: CacheKind
    read_dependency: ReadDependency | None
    keep_expired: bool

    @property
    def invalidating(self) -> frozenset[EntityKind]:
        """Kinds of which any change outdates the body."""
        return self.depends_on - DEPARTURES if self.read_dependency else self.depends_on

    @property
    def compress(self) -> bool:
        """Whether the cache compresses the body: recommendations are compressed already."""
        return self.kind != "recommendations"


@dataclass(slots=True)
class LocalEntry:
    """A body in the process's memory; times are on the monotonic clock."""

    body: EncodedBody
    generation: int
    fresh_until: float
    size: int
    """Bytes in memory, the key included."""
    is_affected: IsAffected | None
    """None if it depends on kinds of entities alone; otherwise changes of other departures do not outdate it."""
    compared: int
    """Generation of the last change that it was compared with."""
    kept_until: float
    """End of its time to live in Redis, which has it longer than the process uses its copy."""
    usable_until: float = NOT_AFFECTED
    """End of the time for which it is used after a change that affects it."""

    @property
    def is_expired(self) -> bool:
        """Whether it has expired by time, whatever has changed."""
        return time.monotonic() >= min(self.fresh_until, self.usable_until)

    def has_body_of(self, stored: StoredEntry) -> bool:
        """Return whether it was made from the same load. A body marked stale is older than its generation."""
        is_same = self.generation == stored.generation and self.body.etag == stored.body.etag
        return is_same and not self.body.stale


LocalEntries: TypeAlias = LRUCache[str, LocalEntry]
"""Entries by key, of which those that were used last are kept."""


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
        self._local: LocalEntries = LRUCache(max_bytes, getsizeof=attrgetter("size"))
        self._brief: LocalEntries = LRUCache(BRIEF_BYTES, getsizeof=attrgetter("size"))
        self._in_flight: dict[str, InFlight] = {}

    async def get(  # noqa: PLR0913  # each is independent of the others
        self,
        key: str,
        depends_on: frozenset[EntityKind],
        load: Loader,
        ttl: float,
        *,
        kind: CacheKind = "lookups",
        read_dependency: ReadDependency | None = None,
        keep_expired: bool = True,
    ) -> EncodedBody:
        """Return a body at most `ttl` seconds old that reflects the last change of the kinds it depends on.

        Without `keep_expired`, an expired body, which may be served stale, is soon dropped from this process's memory.
        With `read_dependency`, it also depends on some departures, of whose changes it may lack those of the last
        `HOLD_SECONDS`.

        Of all callers that miss it, in all processes, one calls `load`. If that raises a BackendError, an older body
        is returned, marked stale; without one the error is raised. Other errors are raised, and nothing is cached.
        """
        body = self.get_local(key, depends_on, kind)
        if body is not None:
            return body
        request = CacheRequest(key, depends_on, load, ttl, kind, read_dependency, keep_expired)
        while (body := await self._get_loaded(request)) is None:
            if (body := self.get_local(key, depends_on, kind)) is not None:
                return body
        return body

    def get_local(self, key: str, depends_on: frozenset[EntityKind], kind: CacheKind = "lookups") -> EncodedBody | None:
        """Return the body if this process has a current copy, else None."""
        entry = self._find_local(key)
        if entry is None or not self._is_current(entry, depends_on):
            return None
        _count("process", kind)
        return entry.body

    def has_current(self, key: str, depends_on: frozenset[EntityKind]) -> bool:
        """Return whether this process has a current copy, or had one that Redis still has and no change outdated."""
        entry = self._find_local(key)
        if entry is None or entry.body.stale:
            return False
        if self._is_current(entry, depends_on):
            return True
        is_shared = self._invalidation.connected and self._store.is_answering
        return (
            is_shared
            and self._reflects_changes(entry, depends_on)
            and time.monotonic() < min(entry.kept_until, entry.usable_until)
        )

    def is_loading(self, key: str) -> bool:
        """Return whether a body is being loaded that others may wait for."""
        return key in self._in_flight

    async def _get_loaded(self, request: CacheRequest) -> EncodedBody | None:
        """Return the body that is being loaded, or load it; None if it came too late for a caller that joined."""
        flight = self._in_flight.get(request.key)
        usable_until = self._joinable_until(flight, request) if flight else OUTDATED
        try:
            if flight is None or usable_until <= time.monotonic():
                flight = self._start_load(request)
                return await asyncio.shield(flight.task)
            # Shielded: a caller that is cancelled must not cancel the load for the others.
            body = await asyncio.shield(flight.task)
        finally:
            # The task's error refers to this frame.
            del flight
        if usable_until <= time.monotonic():
            return None
        _count("shared", request.kind)
        return body

    async def close(self) -> None:
        """Wait for the loads under way."""
        await asyncio.gather(*(flight.task for flight in self._in_flight.values()), return_exceptions=True)

    def _is_current(self, entry: LocalEntry, depends_on: frozenset[EntityKind]) -> bool:
        """Return whether the entry may be used."""
        return not entry.is_expired and self._reflects_changes(entry, depends_on) and not entry.is_expired

    def _reflects_changes(self, entry: LocalEntry, depends_on: frozenset[EntityKind]) -> bool:
        """Return whether no change has outdated the entry before its `usable_until`; it is compared with each once."""
        changes = self._invalidation
        if entry.compared == changes.current:
            return True
        if not changes.is_current(entry.compared, depends_on - DEPARTURES if entry.is_affected else depends_on):
            return False
        if entry.is_affected is not None:
            until = changes.departures.usable_until(entry.compared, entry.is_affected)
            entry.usable_until = min(entry.usable_until, until)
        entry.compared = changes.current
        return True

    def _joinable_until(self, flight: InFlight, request: CacheRequest) -> float:
        """Return until when (monotonic) what is being loaded may be used by a caller that comes now."""
        changes = self._invalidation
        if not changes.is_current(flight.generation, request.invalidating):
            return OUTDATED
        if request.read_dependency is None:
            return NOT_AFFECTED
        # It is not known yet which departures it depends on.
        return changes.departures.usable_until(flight.generation, is_affected_by_any)

    def _oldest_usable(self, request: CacheRequest) -> int:
        """Return the first generation at which a load may have begun that the caller waits for in another process."""
        changes = self._invalidation
        oldest = changes.changed_last(request.invalidating)
        return oldest if request.read_dependency is None else max(oldest, changes.departures.last_not_held())

    def _start_load(self, request: CacheRequest) -> InFlight:
        generation = self._invalidation.current
        flight = InFlight(generation, asyncio.create_task(self._resolve(request, generation)))
        self._in_flight[request.key] = flight

        def finish(task: asyncio.Task[EncodedBody]) -> None:
            if self._in_flight.get(request.key) is flight:
                del self._in_flight[request.key]
            discard_exception(task)

        flight.task.add_done_callback(finish)
        return flight

    async def _resolve(self, request: CacheRequest, generation: int) -> EncodedBody:
        """Return a current body from Redis, or load it once the lock is free or the wait is over."""
        if not self._invalidation.connected:
            return await self._load(request, generation, older=None)
        locked, stored = await self._store.read_or_lock(request.key, generation, self._oldest_usable(request))
        if locked:
            return await self._load_with_lock(request, generation, stored, None)
        entry = self._shared_entry(request, stored, self._find_local(request.key))
        deadline = time.monotonic() + WAIT_SECONDS
        while entry is None or not self._is_current(entry, request.depends_on):
            oldest = self._oldest_usable(request)
            locked, stored = await self._store.lock_and_get(request.key, generation, oldest)
            entry = self._shared_entry(request, stored, entry)
            if locked:
                return await self._load_with_lock(request, generation, stored, entry)
            if time.monotonic() > deadline:
                return await self._load(request, generation, stored)
            await asyncio.sleep(POLL_SECONDS)
        return self._accept(request, entry)

    def _shared_entry(
        self, request: CacheRequest, stored: StoredEntry | None, known: LocalEntry | None
    ) -> LocalEntry | None:
        """Return the entry of Redis; what `known` was compared with, if it has the same body, is not compared again."""
        if stored is None:
            return None
        entry = self._local_entry(request, stored.body, stored.generation, stored.fresh_seconds)
        if known is not None and known.has_body_of(stored):
            entry.body, entry.is_affected = known.body, known.is_affected
            entry.compared, entry.usable_until = known.compared, known.usable_until
        return entry

    def _accept(self, request: CacheRequest, entry: LocalEntry) -> EncodedBody:
        _count("redis", request.kind)
        return self._store_local(request, entry)

    async def _load_with_lock(
        self, request: CacheRequest, generation: int, stored: StoredEntry | None, entry: LocalEntry | None
    ) -> EncodedBody:
        """Load the body, unless another process has done so before this one got the lock."""
        try:
            if entry is not None and self._is_current(entry, request.depends_on):
                return self._accept(request, entry)
            return await self._load(request, generation, stored)
        finally:
            await self._store.unlock(request.key, generation)

    async def _load(self, request: CacheRequest, generation: int, older: StoredEntry | None) -> EncodedBody:
        # A replica may lack the last change. What changes during the load outdates the body anyway.
        may_lack_changes = self._invalidation.changed_within(self._replica_lag_seconds, request.depends_on)
        try:
            identity = await request.load()
        except BackendError:
            outdated = older or self._find_local(request.key)
            if outdated is None:
                raise
            return self._serve_stale(request, generation, outdated.body)
        _count("fill", request.kind)
        body = await encode_body(identity, compress=request.compress)
        ttl = min(request.ttl, PROCESS_SECONDS) if may_lack_changes else request.ttl
        # A change during the load may be missing from this body: callers that came before it get the body, later ones
        # do not.
        entry = self._local_entry(request, body, generation, ttl)
        if self._is_current(entry, request.depends_on):
            self._store_local(request, entry)
            if self._invalidation.connected:
                stored = StoredEntry(body, generation, time.monotonic() + ttl, stale_seconds=request.ttl)
                await self._store.write(request.key, stored)
        return body

    def _serve_stale(self, request: CacheRequest, generation: int, outdated: EncodedBody) -> EncodedBody:
        _count("stale", request.kind)
        entry = self._local_entry(request, replace(outdated, stale=True), generation, STALE_SECONDS)
        entry.fresh_until = time.monotonic() + STALE_SECONDS
        # Whatever changes: loading may work again.
        entry.is_affected = entry.is_affected and is_affected_by_any
        return self._store_local(request, entry)

    def _local_entry(self, request: CacheRequest, body: EncodedBody, generation: int, ttl: float) -> LocalEntry:
        overhead = ENTRY_OVERHEAD + (DEPENDENCY_OVERHEAD if request.kind == "recommendations" else 0)
        size = len(request.key) + body.size + overhead
        fresh_until = time.monotonic() + min(ttl, PROCESS_SECONDS)
        is_affected = request.read_dependency and request.read_dependency(body)
        kept_until = time.monotonic() + ttl
        return LocalEntry(body, generation, fresh_until, size, is_affected, compared=generation, kept_until=kept_until)

    def _find_local(self, key: str) -> LocalEntry | None:
        return self._local.get(key) or self._brief.get(key)

    def _store_local(self, request: CacheRequest, entry: LocalEntry) -> EncodedBody:
        entries = self._local if request.keep_expired else self._brief
        if entry.size <= entries.maxsize:
            entries[request.key] = entry
        return entry.body


def _count(level: CacheLevel, kind: CacheKind) -> None:
    """Count a lookup, and record what answered it in the record of the current request."""
    COUNTERS[level, kind].count += 1
    record_cache(level)
