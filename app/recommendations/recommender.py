"""At most two searches, primary and relaxed, and the score of what they found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from app.recommendations.trip_search import Found, TripSearch
from schemas.preferences import Preferences
from scoring import weights
from scoring.answer import needs_relaxed
from scoring.candidates import candidates
from scoring.query import search_body
from scoring.rules import Rule, rules
from scoring.score import Recommendation, recommend
from scoring.search import Catalogue, Search


@dataclass(frozen=True)
class Recommendations:
    primary: Sequence[Recommendation]
    relaxed: Sequence[Recommendation]
    total_candidates: int

    @cached_property
    def all(self) -> Sequence[Recommendation]:
        """Best first; relaxed ones after the primary ones."""
        return (*self.primary, *self.relaxed)


class Recommender:
    def __init__(self, trips: TripSearch) -> None:
        self._trips = trips

    async def recommend(self, preferences: Preferences, today: date, catalogue: Catalogue) -> Recommendations:
        """Raises 503 as ApiError."""
        search = Search(preferences, today, catalogue)
        found, primary = await self._ranked(search, weights.RESULTS)
        relaxed: list[Recommendation] = []
        if needs_relaxed(primary):
            listed = tuple(recommendation.document["id"] for recommendation in primary)
            _, relaxed = await self._ranked(search.relax(listed), weights.RESULTS - len(primary))
        return Recommendations(primary, relaxed, found.total)

    async def _ranked(self, search: Search, size: int) -> tuple[Found, list[Recommendation]]:
        applying: tuple[Rule, ...] = rules(search)
        found = await self._trips.find(search_body(candidates(search), applying, size))
        return found, recommend(found.documents, applying, is_relaxed=search.relaxed)
