"""Recommendation service: cached responses, with fallbacks while the index or the database is unavailable."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache, partial

from msgspec import Struct
from prometheus_client import Counter
from pydantic import TypeAdapter

from app.backends.database import Database
from app.backends.labels import DATABASE_LABEL, SEARCH_INDEX_LABEL
from app.cache.recent_departure_changes import IsAffected
from app.cache.response_cache import ReadDependency, ResponseCache
from app.http.conditional import STALE
from app.http.encoded_body import EncodedBody
from app.recommendations.appendable_body import AppendableJsonBody
from app.recommendations.dependency import ResponseDependency, pack_dependency
from app.recommendations.engine import RankedResults, find_recommendations
from app.recommendations.request_log_record import build_log_record
from app.recommendations.rollout.assignment import OWN_ASSIGNMENT, Assignment
from app.recommendations.serializer import serialize_response
from app.recommendations.stage import Stage
from app.recommendations.trip_search.elasticsearch import STALE_INDEX, ElasticsearchTripSearch
from app.recommendations.trip_search.interface import CountingTripSearch
from app.recommendations.trip_search.postgres import PostgresTripSearch
from app.repositories.lookups import load_lookups
from app.server.search_limit import SearchLimit, rule_out_search
from core.errors import BackendError, BackendUnavailableError
from core.metrics.labels import with_values
from core.tracing import spans
from schemas.api.preferences import Preferences
from schemas.index_document import DOCUMENT_VERSION
from schemas.invalidation_message import ALL_KINDS, EntityKind
from scoring.availability import bookable
from scoring.context import SearchContext, SearchLookups
from scoring.weight_set import WeightSet

HEDGE_SECONDS = 0.7
"""Seconds after which a fallback is tried beside the primary source. A server that stalls is found before that; this is
for searches that alone get no response."""

SLOW_INDEX = f"no response within {HEDGE_SECONDS} s"
"""Reason of a fallback beside the primary source."""

DEGRADED_SECONDS = 5
"""Seconds for which degraded responses are cached."""
TOTAL_SECONDS = 60
"""Seconds for which the number of all trips is cached, before a response that contains it is."""
LOOKUPS_SECONDS = 3600

LOOKUP_KINDS: frozenset[EntityKind] = frozenset(("country", "type"))
"""Kinds that the lookups are made from. A response from the index depends on them and on some departures: the worker
writes what else changes to the documents of departures."""
TTL_ONLY: frozenset[EntityKind] = frozenset()
"""For entries that no change invalidates: they may be as old as their time to live."""

FROM_DATABASE = '199 - "Answered from the database"'
WITHOUT_DATABASE = '199 - "Answered without the database"'
"""Values of the `Warning` header (RFC 7234) of degraded responses."""

SEARCHES = with_values(
    Counter("smarttrip_recommendation_searches_total", "Searches that no cache answered, by results", ["results"]),
    ("some", "none"),
)

_LOOKUPS = TypeAdapter(SearchLookups)


@lru_cache(maxsize=1)
def _parse_lookups(body: bytes) -> SearchLookups:
    return _LOOKUPS.validate_json(body)


@dataclass(frozen=True)
class SearchRequest:
    preferences: Preferences
    today: date
    gzipped: bool
    assignment: Assignment = OWN_ASSIGNMENT

    @cached_property
    def key(self) -> str:
        """Cache key; equal for requests that mean the same, to releases that read the same index."""
        coding = "gzip" if self.gzipped else "identity"
        sets = self.assignment.weights.key
        return f"recommendations:v{DOCUMENT_VERSION}:{sets}:{coding}:{self.today}:{self.preferences.canonical()}"


@dataclass(frozen=True, slots=True)
class DataSource:
    """One way to compute recommendations: a trip search and the lookups that preferences are resolved against."""

    name: str
    trips: CountingTripSearch
    load_lookups: Callable[[], Awaitable[SearchLookups]]
    warning: str | None = None
    """`Warning` header of responses from a fallback; None for the primary source."""


def _unpack(body: EncodedBody) -> AppendableJsonBody:
    """Return the parts of a cached body; they are kept with it, since the cache returns one object to many requests."""
    if body.unpacked is None:
        body.unpacked = AppendableJsonBody.unpack(body.identity)
    unpacked: AppendableJsonBody = body.unpacked
    return unpacked


def _read_dependency(request: SearchRequest, body: EncodedBody) -> IsAffected:
    weights = request.assignment.weights.weights
    packed = _unpack(body).dependency
    return ResponseDependency(request.preferences, request.today, weights, packed).is_affected


async def _find(search: SearchContext, source: DataSource) -> RankedResults:
    results = await find_recommendations(source.trips, search)
    SEARCHES.labels("some" if results.all else "none").inc()
    return results


class CachedResponse(Struct, frozen=True):
    body: AppendableJsonBody
    warning: str | None = None
    """`Warning` header of a degraded or stale response."""


class RecommendationService:
    def __init__(  # noqa: PLR0913  # each is independent of the others
        self,
        cache: ResponseCache,
        database: Database,
        index: ElasticsearchTripSearch,
        fallback: PostgresTripSearch,
        *,
        cache_seconds: int,
        limit: SearchLimit | None = None,
    ) -> None:
        """Create a service that caches responses for `cache_seconds`; 0 disables the cache.

        Searches of the primary source are measured for the `limit`.
        """
        self._cache = cache
        self._database = database
        self._index = index
        self._primary = DataSource("primary", index, self._load_lookups)
        self._limit = limit
        self._fallbacks = (
            DataSource("postgres", fallback, self._load_lookups, FROM_DATABASE),
            DataSource("index", index, index.lookups, WITHOUT_DATABASE),
        )
        self._cache_seconds = cache_seconds

    @property
    def is_index_stale(self) -> bool:
        """Whether the index lacks changes that no worker will write to it."""
        return self._index.is_stale

    async def get_response(self, request: SearchRequest) -> CachedResponse:
        """Return a response from the primary source, else from a fallback (degraded), else a stale one.

        Raises: BackendError if there is none of them.
        """
        if self._index.is_stale:
            rule_out_search()
            # Responses that were cached since its worker stopped may be outdated too.
            return await self._get_degraded(request, STALE_INDEX)
        try:
            # The load goes on: what the cache loads does not end with a caller. Without a cache it would.
            async with asyncio.timeout(HEDGE_SECONDS if self._cache_seconds else None):
                return await self._get_primary(request)
        except TimeoutError:
            return await self._get_hedge(request)

    async def _get_primary(self, request: SearchRequest) -> CachedResponse:
        """Return a response from the primary source; only when that fails, from a fallback."""
        if self._cache.is_loading(request.key):
            rule_out_search()
        try:
            body = await self._get_cached(
                request.key,
                LOOKUP_KINDS,
                self._loader(request, self._primary),
                self._cache_seconds,
                partial(_read_dependency, request),
            )
            if not body.stale:
                return CachedResponse(_unpack(body))
        except BackendUnavailableError as error:
            return await self._get_degraded(request, error.reason)
        try:
            return await self._get_degraded(request, self._index.breaker.last_failure)
        except BackendError:
            return CachedResponse(_unpack(body), STALE)

    async def _get_hedge(self, request: SearchRequest) -> CachedResponse:
        """Return a response from the database, which serves few searches at a time, else wait for the primary source.

        The index is not asked twice: if it is slow, that would make it slower.
        """
        try:
            return await self._get_degraded(request, SLOW_INDEX, self._fallbacks[:1])
        except BackendError:
            return await self._get_primary(request)

    def get_local(self, key: str) -> CachedResponse | None:
        """Return the response of the `SearchRequest` with this key if this process has a valid one, else None."""
        if self._index.is_stale:
            return None
        body = self._cache.get_local(key, LOOKUP_KINDS, "recommendations")
        return None if body is None or body.stale else CachedResponse(_unpack(body))

    def has_current(self, key: str) -> bool:
        """Return whether the `SearchRequest` with this key is answered from a cache, that of the process or Redis."""
        return not self._index.is_stale and self._cache.has_current(key, LOOKUP_KINDS)

    async def recommend(self, preferences: Preferences, today: date, weights: WeightSet) -> RankedResults:
        """Compute recommendations from the primary source, without the cache. Raises: BackendError."""
        request = SearchRequest(preferences, today, gzipped=False, assignment=Assignment(weights))
        return await _find(await self._search(request, self._primary), self._primary)

    async def _get_degraded(
        self, request: SearchRequest, reason: str, fallbacks: Sequence[DataSource] | None = None
    ) -> CachedResponse:
        """Return a response from the first of the fallbacks, by default of all, that has one. Raises: BackendError.

        `reason` is why the primary source has none.
        """
        first, *others = fallbacks or self._fallbacks
        try:
            return await self._get_from(first, request, reason)
        except BackendError:
            for source in others:
                with suppress(BackendError):
                    return await self._get_from(source, request, reason)
            # A list of errors would be part of a reference cycle, with all that the search has made.
            raise

    async def _get_from(self, source: DataSource, request: SearchRequest, reason: str) -> CachedResponse:
        """Return a response from a fallback. Raises: BackendError, also where it only has a stale one."""
        key = f"{source.warning}:{request.key}"
        with spans.span("fallback", {"smarttrip.fallback.reason": reason, "smarttrip.fallback.source": source.name}):
            load = self._loader(request, source)
            body = await self._get_cached(key, ALL_KINDS, load, DEGRADED_SECONDS, keep_expired=False)
        if body.stale:
            raise BackendUnavailableError(SEARCH_INDEX_LABEL)
        return CachedResponse(_unpack(body), source.warning)

    async def _get_cached(  # noqa: PLR0913  # each is independent of the others
        self,
        key: str,
        depends_on: frozenset[EntityKind],
        load: Callable[[], Awaitable[bytes]],
        seconds: float,
        read_dependency: ReadDependency | None = None,
        *,
        keep_expired: bool = True,
    ) -> EncodedBody:
        if not seconds:
            return EncodedBody(await load(), gzip=None, etag="")
        return await self._cache.get(
            key,
            depends_on,
            load,
            seconds,
            kind="recommendations",
            read_dependency=read_dependency,
            keep_expired=keep_expired,
        )

    def _loader(self, request: SearchRequest, source: DataSource) -> Callable[[], Awaitable[bytes]]:
        async def load() -> bytes:
            if source is self._primary and self._limit is not None:
                with self._limit.measure():
                    return await make()
            return await make()

        async def make() -> bytes:
            search = await self._search(request, source)
            started = time.monotonic()
            results = await _find(search, source)
            if request.assignment.counts is not None:
                request.assignment.counts.add_search(time.monotonic() - started, is_empty=not results.all)
            total = await self._count_trips(request.today, source)
            with Stage("serialize"):
                text = serialize_response(results, request.preferences, total, degraded=source.warning is not None)
            log_record = build_log_record(results, request.preferences)
            dependency = pack_dependency(results, search)
            return AppendableJsonBody.build(text, log_record, dependency, gzipped=request.gzipped).pack()

        return load

    async def _search(self, request: SearchRequest, source: DataSource) -> SearchContext:
        with spans.span("catalogue"):
            lookups = await source.load_lookups()
        return SearchContext(request.preferences, request.today, lookups, request.assignment.weights.weights)

    async def _count_trips(self, today: date, source: DataSource) -> int:
        """Count bookable departures where the search is, of which the index lags the database by seconds."""

        async def load() -> bytes:
            return b"%d" % await source.trips.count(bookable(today))

        key = f"total-trips:v{DOCUMENT_VERSION}:{today}"
        return int((await self._cache.get(key, TTL_ONLY, load, TOTAL_SECONDS)).identity)

    async def _load_lookups(self) -> SearchLookups:
        async def load() -> bytes:
            async with self._database.read() as session:
                return _LOOKUPS.dump_json(await load_lookups(session))

        body = await self._cache.get("catalogue", LOOKUP_KINDS, load, LOOKUPS_SECONDS)
        if body.stale:
            # Then the index's copy is used, and the response is marked as degraded.
            raise BackendUnavailableError(DATABASE_LABEL)
        return _parse_lookups(body.identity)
