"""Recommendation engine: run the primary and, if needed, the relaxed search, and score what they find."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from app.recommendations.stage import Stage
from app.recommendations.trip_search.interface import SearchHits, TripSearch
from scoring import weights
from scoring.context import SearchContext
from scoring.explain import Recommendation, score_documents
from scoring.filters import candidate_filter
from scoring.results import needs_relaxed_search
from scoring.rules import applicable_rules


@dataclass(frozen=True)
class RankedResults:
    primary: Sequence[Recommendation]
    relaxed: Sequence[Recommendation]
    total_candidates: int

    @cached_property
    def all(self) -> Sequence[Recommendation]:
        """All results, best first; relaxed results after the primary ones."""
        return (*self.primary, *self.relaxed)


async def find_recommendations(trips: TripSearch, search: SearchContext) -> RankedResults:
    """Return the ranked results. Raises: BackendError."""
    found, primary = await _search(trips, search, weights.RESULTS)
    relaxed: list[Recommendation] = []
    if needs_relaxed_search(primary):
        shown_ids = tuple(recommendation.document.id for recommendation in primary)
        _, relaxed = await _search(trips, search.relaxed(shown_ids), weights.RESULTS - len(primary))
    return RankedResults(primary, relaxed, found.total)


async def _search(trips: TripSearch, search: SearchContext, size: int) -> tuple[SearchHits, list[Recommendation]]:
    applying = applicable_rules(search)
    found = await trips.find(candidate_filter(search), applying, size)
    with Stage("scoring"):
        return found, score_documents(found.documents, applying, is_relaxed=search.is_relaxed)
