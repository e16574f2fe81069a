"""Answers by what was asked, kept until the catalogue changes."""

from datetime import date

import orjson
from pydantic import TypeAdapter

from app.cache import ALL_KINDS, Cache, Kind
from app.database import Database
from app.recommendations.answer import answer_text, note_of
from app.recommendations.open_body import OpenBody
from app.recommendations.recommender import Recommendations, Recommender
from app.recommendations.trip_search import TripSearch
from app.repositories.catalogue import read_catalogue
from schemas.preferences import Preferences
from scoring.candidates import on_offer
from scoring.search import Catalogue

ANSWER_SECONDS = 300
TOTAL_SECONDS = 300
CATALOGUE_SECONDS = 3600

CATALOGUE_KINDS: frozenset[Kind] = frozenset(("country", "type"))
NOTHING: frozenset[Kind] = frozenset()
"""What a body depends on that may be as old as its time to live."""

_CATALOGUE = TypeAdapter(Catalogue)


class Answers:
    def __init__(self, cache: Cache, database: Database, trips: TripSearch) -> None:
        self._cache = cache
        self._database = database
        self._trips = trips
        self._recommender = Recommender(trips)

    async def answer(self, preferences: Preferences, today: date) -> OpenBody:
        """Raises 503 as ApiError."""

        async def fill() -> bytes:
            found = await self.recommend(preferences, today)
            text = answer_text(found, preferences, await self._total_trips(today))
            return OpenBody.build(text, orjson.dumps(note_of(found))).pack()

        key = f"recommendations:{today}:{preferences.canonical()}"
        return OpenBody.unpack((await self._cache.get(key, ALL_KINDS, fill, ANSWER_SECONDS, compress=False)).identity)

    async def recommend(self, preferences: Preferences, today: date) -> Recommendations:
        """Without looking at or keeping an answer. Raises 503 as ApiError."""
        return await self._recommender.recommend(preferences, today, await self._catalogue())

    async def _total_trips(self, today: date) -> int:
        """Counted in the index, which follows the database within seconds and stays when that is down."""

        async def fill() -> bytes:
            return b"%d" % await self._trips.count(on_offer(today).filter())

        return int((await self._cache.get(f"total-trips:{today}", NOTHING, fill, TOTAL_SECONDS)).identity)

    async def _catalogue(self) -> Catalogue:
        async def fill() -> bytes:
            async with self._database.read() as session:
                return _CATALOGUE.dump_json(await read_catalogue(session))

        body = await self._cache.get("catalogue", CATALOGUE_KINDS, fill, CATALOGUE_SECONDS)
        return _CATALOGUE.validate_json(body.identity)
