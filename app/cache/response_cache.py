"""Answers kept in the process and in Redis, made once when missing, and forgotten when the catalogue changes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeGuard

from cachetools import LRUCache

from app.cache.invalidation import Generations, Kind
from app.cache.metrics import FILLED, FROM_PROCESS, FROM_REDIS, STALE
from app.cache.redis_store import SharedLevel
from app.http.encoded_body import CachedBody, Record, finish
from app.http.errors import ApiError

Fill = Callable[[], Awaitable[bytes]]

PROCESS_SECONDS = 1.0
"""How long a process goes by its own copy: what holds when no change can be heard."""

STALE_SECONDS = 5.0
"""How long an old state is served before the next try for a newer one."""

WAIT_SECONDS = 1.0
"""How long to wait for another process that is making the same body before doing it as well."""

POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Wanted:
    key: str
    depends_on: frozenset[Kind]
    fill: Fill
    ttl: float
    compress: bool


@dataclass(frozen=True, slots=True)
class Copy:
    """A body as this process holds it; `fresh_until` is on the monotonic clock."""

    body: CachedBody
    generation: int
    fresh_until: float


@dataclass(frozen=True, slots=True)
class Flight:
    generation: int
    landing: asyncio.Task[CachedBody]


class Cache:
    def __init__(
        self,
        shared: SharedLevel,
        generations: Generations,
        *,
        max_bytes: int = 12 * 1024 * 1024,
        settle_seconds: float = 0.0,
    ) -> None:
        """For `settle_seconds` after a change bodies are kept only briefly: they may come from a replica behind it."""
        self._shared = shared
        self._generations = generations
        self._settle_seconds = settle_seconds
        self._copies: LRUCache[str, Copy] = LRUCache(max_bytes, getsizeof=_size)
        self._flights: dict[str, Flight] = {}

    async def get(
        self, key: str, depends_on: frozenset[Kind], fill: Fill, ttl: float, *, compress: bool = True
    ) -> CachedBody:
        """The body under `key`, at most `ttl` seconds old and not older than the last change of what it depends on.

        Of all who miss it, in all processes, one calls `fill`. If that raises a 503 an older body is served
        where there is one, marked stale; other errors are for the caller, and nothing is kept.
        """
        body = self.held(key, depends_on)
        if body is not None:
            return body
        flight = self._flights.get(key)
        if flight is None or not self._generations.cover(flight.generation, depends_on):
            flight = self._take_off(Wanted(key, depends_on, fill, ttl, compress))
        # A caller who gives up must not take the others' answer away.
        return await asyncio.shield(flight.landing)

    def held(self, key: str, depends_on: frozenset[Kind]) -> CachedBody | None:
        """The body under `key` if this process has it and it still holds."""
        copy = self._copies.get(key)
        if (
            copy is None
            or copy.fresh_until <= time.monotonic()
            or not self._generations.cover(copy.generation, depends_on)
        ):
            return None
        FROM_PROCESS.inc()
        return copy.body

    async def close(self) -> None:
        await asyncio.gather(*(flight.landing for flight in self._flights.values()), return_exceptions=True)

    def _take_off(self, wanted: Wanted) -> Flight:
        generation = self._generations.current
        flight = Flight(generation, asyncio.create_task(self._obtain(wanted, generation)))
        self._flights[wanted.key] = flight

        def land(landing: asyncio.Task[CachedBody]) -> None:
            if self._flights.get(wanted.key) is flight:
                del self._flights[wanted.key]
            if not landing.cancelled():
                # Marks a failure as seen, for when every caller has given up.
                landing.exception()

        flight.landing.add_done_callback(land)
        return flight

    async def _obtain(self, wanted: Wanted, generation: int) -> CachedBody:
        if not self._generations.following:
            return await self._make(wanted, generation, older=None)
        record = await self._shared.read(wanted.key)
        give_up_at = time.monotonic() + WAIT_SECONDS
        while not self._usable(record, wanted):
            claimed, record = await self._shared.claim(wanted.key, generation)
            if claimed:
                return await self._make_claimed(wanted, generation, record)
            if time.monotonic() > give_up_at:
                return await self._make(wanted, generation, record)
            await asyncio.sleep(POLL_SECONDS)
        return self._take(wanted.key, record)

    def _usable(self, record: Record | None, wanted: Wanted) -> TypeGuard[Record]:
        return (
            record is not None
            and record.fresh_until > time.time()
            and self._generations.cover(record.generation, wanted.depends_on)
        )

    def _take(self, key: str, record: Record) -> CachedBody:
        FROM_REDIS.inc()
        return self._keep(key, record.body, record.generation, record.fresh_until - time.time())

    async def _make_claimed(self, wanted: Wanted, generation: int, record: Record | None) -> CachedBody:
        try:
            if self._usable(record, wanted):
                return self._take(wanted.key, record)
            return await self._make(wanted, generation, record)
        finally:
            await self._shared.release(wanted.key, generation)

    async def _make(self, wanted: Wanted, generation: int, older: Record | None) -> CachedBody:
        try:
            identity = await wanted.fill()
        except ApiError as error:
            return self._fall_back(wanted, generation, older, error)
        FILLED.inc()
        body = await finish(identity, compress=wanted.compress)
        ttl = wanted.ttl
        if self._generations.touched_within(self._settle_seconds, wanted.depends_on):
            ttl = min(ttl, PROCESS_SECONDS)
        # What changed meanwhile may or may not be in this body: those who asked before may have it, nobody later.
        if self._generations.cover(generation, wanted.depends_on):
            self._keep(wanted.key, body, generation, ttl)
            if self._generations.following:
                record = Record(body, generation, time.time() + ttl)
                await self._shared.write(wanted.key, record, keep_seconds=ttl + wanted.ttl)
        return body

    def _fall_back(self, wanted: Wanted, generation: int, older: Record | None, error: ApiError) -> CachedBody:
        held = older or self._copies.get(wanted.key)
        if error.status != 503 or held is None:
            raise error
        STALE.inc()
        return self._keep(wanted.key, replace(held.body, stale=True), generation, STALE_SECONDS, at_most=STALE_SECONDS)

    def _keep(
        self, key: str, body: CachedBody, generation: int, ttl: float, *, at_most: float = PROCESS_SECONDS
    ) -> CachedBody:
        copy = Copy(body, generation, time.monotonic() + min(ttl, at_most))
        if _size(copy) <= self._copies.maxsize:
            self._copies[key] = copy
        return body


def _size(copy: Copy) -> int:
    return len(copy.body.identity) + len(copy.body.gzip or b"") + 500
