"""Answers by what was asked, kept until the catalogue changes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from msgspec import Struct
from pydantic import TypeAdapter

from app.backends.database import Database
from app.backends.labels import SEARCH_INDEX_LABEL
from app.cache.response_cache import ResponseCache
from app.http.encoded_body import EncodedBody
from app.recommendations.appendable_body import AppendableJsonBody
from app.recommendations.elasticsearch_search import ElasticsearchTripSearch
from app.recommendations.engine import RankedResults, find_recommendations
from app.recommendations.postgres_ranking import count_query
from app.recommendations.postgres_search import PostgresTripSearch
from app.recommendations.request_log_record import build_log_record
from app.recommendations.search import TripSearch
from app.recommendations.serializer import serialize_response
from app.repositories.lookups import load_lookups
from core.errors import BackendError, BackendUnavailableError
from schemas.api.preferences import Preferences
from schemas.invalidation import ALL_KINDS, EntityKind
from scoring.availability import bookable
from scoring.context import SearchContext, SearchLookups

DEGRADED_SECONDS = 5
TOTAL_SECONDS = 60
"""With the time for which answers are kept by default, the five minutes that the number may be old."""
CATALOGUE_SECONDS = 3600

CATALOGUE_KINDS: frozenset[EntityKind] = frozenset(("country", "type"))
TTL_ONLY: frozenset[EntityKind] = frozenset()
"""What a body depends on that may be as old as its time to live."""

FROM_DATABASE = '199 - "Answered from the database"'
WITHOUT_DATABASE = '199 - "Answered without the database"'
STALE = '110 - "Response is Stale"'
"""Values of the `Warning` header (RFC 7234)."""

_CATALOGUE = TypeAdapter(SearchLookups)


@lru_cache(maxsize=1)
def _read_catalogue(body: bytes) -> SearchLookups:
    return _CATALOGUE.validate_json(body)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    preferences: Preferences
    today: date
    gzipped: bool

    @property
    def key(self) -> str:
        """The same for all who want the same."""
        coding = "gzip" if self.gzipped else "identity"
        return f"recommendations:{coding}:{self.today}:{self.preferences.canonical()}"


@dataclass(frozen=True, slots=True)
class Source:
    """To answer: where trips come from, and what preferences are resolved against."""

    trips: TripSearch
    catalogue: Callable[[], Awaitable[SearchLookups]]
    warning: str | None = None
    """Of a way that is only taken when the usual one is barred."""


class CachedResponse(Struct, frozen=True):
    body: AppendableJsonBody
    warning: str | None = None
    """Where the answer is not what it should be."""


class RecommendationService:
    def __init__(
        self,
        cache: ResponseCache,
        database: Database,
        index: ElasticsearchTripSearch,
        fallback: PostgresTripSearch,
        *,
        keep_seconds: int,
    ) -> None:
        """`keep_seconds` 0 makes every answer anew."""
        self._cache = cache
        self._database = database
        self._index = index
        self._usual = Source(index, self._catalogue)
        self._fallbacks = (
            Source(fallback, self._catalogue, FROM_DATABASE),
            Source(index, index.lookups, WITHOUT_DATABASE),
        )
        self._keep_seconds = keep_seconds

    async def answer(self, wanted: SearchRequest) -> CachedResponse:
        """The usual one; else one by a detour, marked as degraded; else an old one. Raises BackendError."""
        try:
            body = await self._cached(wanted.key, self._loader(wanted, self._usual), self._keep_seconds)
            if not body.stale:
                return CachedResponse(AppendableJsonBody.unpack(body.identity))
        except BackendUnavailableError:
            return await self._degraded(wanted)
        try:
            return await self._degraded(wanted)
        except BackendError:
            return CachedResponse(AppendableJsonBody.unpack(body.identity), STALE)

    def get_local(self, key: str) -> CachedResponse | None:
        """The usual answer to the `Wanted` of this key, if this process has it and it still holds."""
        body = self._cache.get_local(key, ALL_KINDS)
        return None if body is None or body.stale else CachedResponse(AppendableJsonBody.unpack(body.identity))

    async def recommend(self, preferences: Preferences, today: date) -> RankedResults:
        """Without looking at or keeping an answer. Raises BackendError."""
        return await self._recommend(preferences, today, self._usual)

    async def _degraded(self, wanted: SearchRequest) -> CachedResponse:
        refusals: list[BackendError] = []
        for way in self._fallbacks:
            try:
                body = await self._cached(f"{way.warning}:{wanted.key}", self._loader(wanted, way), DEGRADED_SECONDS)
            except BackendError as error:
                refusals.append(error)
            else:
                if not body.stale:
                    return CachedResponse(AppendableJsonBody.unpack(body.identity), way.warning)
        raise refusals[0] if refusals else BackendUnavailableError(SEARCH_INDEX_LABEL)

    async def _cached(self, key: str, fill: Callable[[], Awaitable[bytes]], seconds: float) -> EncodedBody:
        if not seconds:
            return EncodedBody(await fill(), gzip=None, etag="")
        return await self._cache.get(key, ALL_KINDS, fill, seconds, compress=False)

    def _loader(self, wanted: SearchRequest, way: Source) -> Callable[[], Awaitable[bytes]]:
        async def fill() -> bytes:
            found = await self._recommend(wanted.preferences, wanted.today, way)
            total = await self._total_trips(wanted.today)
            text = serialize_response(found, wanted.preferences, total, degraded=way.warning is not None)
            return AppendableJsonBody.build(
                text, build_log_record(found, wanted.preferences), gzipped=wanted.gzipped
            ).pack()

        return fill

    async def _recommend(self, preferences: Preferences, today: date, way: Source) -> RankedResults:
        return await find_recommendations(way.trips, SearchContext(preferences, today, await way.catalogue()))

    async def _total_trips(self, today: date) -> int:
        """Counted in the index, which follows the database within seconds; in the database while that is down."""

        async def fill() -> bytes:
            try:
                return b"%d" % await self._index.count(bookable(today))
            except BackendError:
                async with self._database.read() as session:
                    return b"%d" % (await session.scalar(count_query(bookable(today))) or 0)

        return int((await self._cache.get(f"total-trips:{today}", TTL_ONLY, fill, TOTAL_SECONDS)).identity)

    async def _catalogue(self) -> SearchLookups:
        async def fill() -> bytes:
            async with self._database.read() as session:
                return _CATALOGUE.dump_json(await load_lookups(session))

        body = await self._cache.get("catalogue", CATALOGUE_KINDS, fill, CATALOGUE_SECONDS)
        return _read_catalogue(body.identity)
