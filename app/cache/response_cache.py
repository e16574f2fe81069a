"""Answers kept in the process and in Redis, made once when missing, and forgotten when the catalogue changes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeGuard

from cachetools import LRUCache
from prometheus_client import Counter

from app.cache.entry import StoredEntry
from app.cache.invalidation import InvalidationState
from app.cache.redis_store import RedisStore
from app.http.encoded_body import EncodedBody, encode_body
from core.errors import BackendError
from schemas.invalidation import EntityKind

LOOKUPS = Counter("smarttrip_cache_lookups", "Lookups by where the answer came from", ["source"])
FROM_PROCESS = LOOKUPS.labels("process")
FROM_REDIS = LOOKUPS.labels("redis")
LOADED = LOOKUPS.labels("fill")
STALE = LOOKUPS.labels("stale")

Loader = Callable[[], Awaitable[bytes]]

PROCESS_SECONDS = 1.0
"""How long a process goes by its own copy: what holds when no change can be heard."""

STALE_SECONDS = 5.0
"""How long an old state is served before the next try for a newer one."""

WAIT_SECONDS = 1.0
"""How long to wait for another process that is making the same body before doing it as well."""

POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class CacheRequest:
    key: str
    depends_on: frozenset[EntityKind]
    fill: Loader
    ttl: float
    compress: bool


@dataclass(frozen=True, slots=True)
class LocalEntry:
    """A body as this process holds it; `fresh_until` is on the monotonic clock."""

    body: EncodedBody
    generation: int
    fresh_until: float


@dataclass(frozen=True, slots=True)
class InFlight:
    generation: int
    task: asyncio.Task[EncodedBody]


class ResponseCache:
    def __init__(
        self,
        shared: RedisStore,
        generations: InvalidationState,
        *,
        max_bytes: int = 12 * 1024 * 1024,
        settle_seconds: float = 0.0,
    ) -> None:
        """For `settle_seconds` after a change bodies are kept only briefly: they may come from a replica behind it."""
        self._shared = shared
        self._generations = generations
        self._settle_seconds = settle_seconds
        self._copies: LRUCache[str, LocalEntry] = LRUCache(max_bytes, getsizeof=_size)
        self._flights: dict[str, InFlight] = {}

    async def get(
        self, key: str, depends_on: frozenset[EntityKind], fill: Loader, ttl: float, *, compress: bool = True
    ) -> EncodedBody:
        """The body under `key`, at most `ttl` seconds old and not older than the last change of what it depends on.

        Of all who miss it, in all processes, one calls `fill`. If that raises a BackendError an older body is served
        where there is one, marked stale; other errors are for the caller, and nothing is kept.
        """
        body = self.get_local(key, depends_on)
        if body is not None:
            return body
        flight = self._flights.get(key)
        if flight is None or not self._generations.is_current(flight.generation, depends_on):
            flight = self._start_fill(CacheRequest(key, depends_on, fill, ttl, compress))
        # A caller who gives up must not take the others' answer away.
        return await asyncio.shield(flight.task)

    def get_local(self, key: str, depends_on: frozenset[EntityKind]) -> EncodedBody | None:
        """The body under `key` if this process has it and it still holds."""
        copy = self._copies.get(key)
        if (
            copy is None
            or copy.fresh_until <= time.monotonic()
            or not self._generations.is_current(copy.generation, depends_on)
        ):
            return None
        FROM_PROCESS.inc()
        return copy.body

    async def close(self) -> None:
        await asyncio.gather(*(flight.task for flight in self._flights.values()), return_exceptions=True)

    def _start_fill(self, wanted: CacheRequest) -> InFlight:
        generation = self._generations.current
        flight = InFlight(generation, asyncio.create_task(self._resolve(wanted, generation)))
        self._flights[wanted.key] = flight

        def land(landing: asyncio.Task[EncodedBody]) -> None:
            if self._flights.get(wanted.key) is flight:
                del self._flights[wanted.key]
            if not landing.cancelled():
                # Marks a failure as seen, for when every caller has given up.
                landing.exception()

        flight.task.add_done_callback(land)
        return flight

    async def _resolve(self, wanted: CacheRequest, generation: int) -> EncodedBody:
        if not self._generations.following:
            return await self._fill(wanted, generation, older=None)
        record = await self._shared.read(wanted.key)
        give_up_at = time.monotonic() + WAIT_SECONDS
        while not self._usable(record, wanted):
            claimed, record = await self._shared.claim(wanted.key, generation)
            if claimed:
                return await self._fill_with_lock(wanted, generation, record)
            if time.monotonic() > give_up_at:
                return await self._fill(wanted, generation, record)
            await asyncio.sleep(POLL_SECONDS)
        return self._accept(wanted.key, record)

    def _usable(self, record: StoredEntry | None, wanted: CacheRequest) -> TypeGuard[StoredEntry]:
        return (
            record is not None
            and record.fresh_until > time.time()
            and self._generations.is_current(record.generation, wanted.depends_on)
        )

    def _accept(self, key: str, record: StoredEntry) -> EncodedBody:
        FROM_REDIS.inc()
        return self._store_local(key, record.body, record.generation, record.fresh_until - time.time())

    async def _fill_with_lock(self, wanted: CacheRequest, generation: int, record: StoredEntry | None) -> EncodedBody:
        try:
            if self._usable(record, wanted):
                return self._accept(wanted.key, record)
            return await self._fill(wanted, generation, record)
        finally:
            await self._shared.release(wanted.key, generation)

    async def _fill(self, wanted: CacheRequest, generation: int, older: StoredEntry | None) -> EncodedBody:
        try:
            identity = await wanted.fill()
        except BackendError as error:
            return self._serve_stale(wanted, generation, older, error)
        LOADED.inc()
        body = await encode_body(identity, compress=wanted.compress)
        ttl = wanted.ttl
        if self._generations.changed_within(self._settle_seconds, wanted.depends_on):
            ttl = min(ttl, PROCESS_SECONDS)
        # What changed meanwhile may or may not be in this body: those who asked before may have it, nobody later.
        if self._generations.is_current(generation, wanted.depends_on):
            self._store_local(wanted.key, body, generation, ttl)
            if self._generations.following:
                record = StoredEntry(body, generation, time.time() + ttl)
                await self._shared.write(wanted.key, record, keep_seconds=ttl + wanted.ttl)
        return body

    def _serve_stale(
        self, wanted: CacheRequest, generation: int, older: StoredEntry | None, error: BackendError
    ) -> EncodedBody:
        held = older or self._copies.get(wanted.key)
        if held is None:
            raise error
        STALE.inc()
        return self._store_local(
            wanted.key, replace(held.body, stale=True), generation, STALE_SECONDS, at_most=STALE_SECONDS
        )

    def _store_local(
        self, key: str, body: EncodedBody, generation: int, ttl: float, *, at_most: float = PROCESS_SECONDS
    ) -> EncodedBody:
        copy = LocalEntry(body, generation, time.monotonic() + min(ttl, at_most))
        if _size(copy) <= self._copies.maxsize:
            self._copies[key] = copy
        return body


def _size(copy: LocalEntry) -> int:
    return len(copy.body.identity) + len(copy.body.gzip or b"") + 500
