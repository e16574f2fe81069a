"""At most two searches, primary and relaxed, and the score of what they found."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from app.recommendations.elasticsearch_search import Found, TripSearch
from scoring import weights
from scoring.context import Search
from scoring.explain import Recommendation, recommend
from scoring.filters import candidates
from scoring.results import needs_relaxed
from scoring.rules import rules


@dataclass(frozen=True)
class Recommendations:
    primary: Sequence[Recommendation]
    relaxed: Sequence[Recommendation]
    total_candidates: int

    @cached_property
    def all(self) -> Sequence[Recommendation]:
        """Best first; relaxed ones after the primary ones."""
        return (*self.primary, *self.relaxed)


async def find_recommendations(trips: TripSearch, search: Search) -> Recommendations:
    """Raises 503 as ApiError."""
    found, primary = await _ranked(trips, search, weights.RESULTS)
    relaxed: list[Recommendation] = []
    if needs_relaxed(primary):
        listed = tuple(recommendation.document.id for recommendation in primary)
        _, relaxed = await _ranked(trips, search.relax(listed), weights.RESULTS - len(primary))
    return Recommendations(primary, relaxed, found.total)


async def _ranked(trips: TripSearch, search: Search, size: int) -> tuple[Found, list[Recommendation]]:
    applying = rules(search)
    found = await trips.find(candidates(search), applying, size)
    return found, recommend(found.documents, applying, is_relaxed=search.relaxed)
