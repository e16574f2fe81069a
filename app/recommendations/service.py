"""Answers by what was asked, kept until the catalogue changes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from msgspec import Struct
from pydantic import TypeAdapter

from app.backends.database import Database
from app.cache import ALL_KINDS, Cache, CachedBody, Kind
from app.http.errors import ApiError, unavailable
from app.recommendations.appendable_body import OpenBody
from app.recommendations.elasticsearch_search import INDEX, IndexSearch, TripSearch
from app.recommendations.engine import Recommendations, find_recommendations
from app.recommendations.postgres_conditions import counted
from app.recommendations.postgres_search import DatabaseSearch
from app.recommendations.request_log_record import note_of
from app.recommendations.serializer import answer_text
from app.repositories.lookups import read_catalogue
from schemas.api.preferences import Preferences
from scoring.context import Catalogue, Search
from scoring.filters import on_offer

DEGRADED_SECONDS = 5
TOTAL_SECONDS = 60
"""With the time for which answers are kept by default, the five minutes that the number may be old."""
CATALOGUE_SECONDS = 3600

CATALOGUE_KINDS: frozenset[Kind] = frozenset(("country", "type"))
NOTHING: frozenset[Kind] = frozenset()
"""What a body depends on that may be as old as its time to live."""

FROM_DATABASE = '199 - "Answered from the database"'
WITHOUT_DATABASE = '199 - "Answered without the database"'
STALE = '110 - "Response is Stale"'
"""Values of the `Warning` header (RFC 7234)."""

_CATALOGUE = TypeAdapter(Catalogue)


@lru_cache(maxsize=1)
def _read_catalogue(body: bytes) -> Catalogue:
    return _CATALOGUE.validate_json(body)


@dataclass(frozen=True, slots=True)
class Wanted:
    preferences: Preferences
    today: date
    gzipped: bool

    @property
    def key(self) -> str:
        """The same for all who want the same."""
        coding = "gzip" if self.gzipped else "identity"
        return f"recommendations:{coding}:{self.today}:{self.preferences.canonical()}"


@dataclass(frozen=True, slots=True)
class Way:
    """To answer: where trips come from, and what preferences are resolved against."""

    trips: TripSearch
    catalogue: Callable[[], Awaitable[Catalogue]]
    warning: str | None = None
    """Of a way that is only taken when the usual one is barred."""


class Answer(Struct, frozen=True):
    body: OpenBody
    warning: str | None = None
    """Where the answer is not what it should be."""


class Answers:
    def __init__(
        self, cache: Cache, database: Database, index: IndexSearch, fallback: DatabaseSearch, *, keep_seconds: int
    ) -> None:
        """`keep_seconds` 0 makes every answer anew."""
        self._cache = cache
        self._database = database
        self._index = index
        self._usual = Way(index, self._catalogue)
        self._detours = (Way(fallback, self._catalogue, FROM_DATABASE), Way(index, index.catalogue, WITHOUT_DATABASE))
        self._keep_seconds = keep_seconds

    async def answer(self, wanted: Wanted) -> Answer:
        """The usual one; else one by a detour, marked as degraded; else an old one. Raises 503 as ApiError."""
        try:
            body = await self._kept(wanted.key, self._filled(wanted, self._usual), self._keep_seconds)
            if not body.stale:
                return Answer(OpenBody.unpack(body.identity))
        except ApiError as error:
            if error.code != "unavailable":
                raise
            return await self._degraded(wanted)
        try:
            return await self._degraded(wanted)
        except ApiError:
            return Answer(OpenBody.unpack(body.identity), STALE)

    def held(self, key: str) -> Answer | None:
        """The usual answer to the `Wanted` of this key, if this process has it and it still holds."""
        body = self._cache.held(key, ALL_KINDS)
        return None if body is None or body.stale else Answer(OpenBody.unpack(body.identity))

    async def recommend(self, preferences: Preferences, today: date) -> Recommendations:
        """Without looking at or keeping an answer. Raises 503 as ApiError."""
        return await self._recommend(preferences, today, self._usual)

    async def _degraded(self, wanted: Wanted) -> Answer:
        refusals: list[ApiError] = []
        for way in self._detours:
            try:
                body = await self._kept(f"{way.warning}:{wanted.key}", self._filled(wanted, way), DEGRADED_SECONDS)
            except ApiError as error:
                refusals.append(error)
            else:
                if not body.stale:
                    return Answer(OpenBody.unpack(body.identity), way.warning)
        raise refusals[0] if refusals else unavailable(INDEX)

    async def _kept(self, key: str, fill: Callable[[], Awaitable[bytes]], seconds: float) -> CachedBody:
        if not seconds:
            return CachedBody(await fill(), gzip=None, etag="")
        return await self._cache.get(key, ALL_KINDS, fill, seconds, compress=False)

    def _filled(self, wanted: Wanted, way: Way) -> Callable[[], Awaitable[bytes]]:
        async def fill() -> bytes:
            found = await self._recommend(wanted.preferences, wanted.today, way)
            total = await self._total_trips(wanted.today)
            text = answer_text(found, wanted.preferences, total, degraded=way.warning is not None)
            return OpenBody.build(text, note_of(found, wanted.preferences), gzipped=wanted.gzipped).pack()

        return fill

    async def _recommend(self, preferences: Preferences, today: date, way: Way) -> Recommendations:
        return await find_recommendations(way.trips, Search(preferences, today, await way.catalogue()))

    async def _total_trips(self, today: date) -> int:
        """Counted in the index, which follows the database within seconds; in the database while that is down."""

        async def fill() -> bytes:
            try:
                return b"%d" % await self._index.count(on_offer(today))
            except ApiError:
                async with self._database.read() as session:
                    return b"%d" % (await session.scalar(counted(on_offer(today))) or 0)

        return int((await self._cache.get(f"total-trips:{today}", NOTHING, fill, TOTAL_SECONDS)).identity)

    async def _catalogue(self) -> Catalogue:
        async def fill() -> bytes:
            async with self._database.read() as session:
                return _CATALOGUE.dump_json(await read_catalogue(session))

        body = await self._cache.get("catalogue", CATALOGUE_KINDS, fill, CATALOGUE_SECONDS)
        return _read_catalogue(body.identity)
