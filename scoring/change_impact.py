"""Which changes of departures change the results of a search, given what the search has shown.

Results change if a departure that they show changes, if the number of candidates does, or if a departure comes to rank
among those that are shown. Departures that are not shown may change otherwise.
"""

from collections.abc import Iterable, Sequence
from itertools import compress

from msgspec import Struct

from schemas.index_document import SearchedFields
from scoring import weights
from scoring.context import SearchContext
from scoring.explain import Recommendation, score_all
from scoring.filters import candidate_filter
from scoring.results import needs_relaxed_search
from scoring.rules import applicable_rules

Rank = tuple[int, str, int]
"""Score, negated; start; id. Results are in this order."""


class ShownList(Struct, frozen=True, array_like=True):
    """The departures that one of the searches has shown."""

    ids: tuple[int, ...]
    last: Rank | None
    """Rank of the last one, if the list is full."""

    @classmethod
    def of(cls, shown: Sequence[Recommendation], size: int) -> "ShownList":
        """Return the list of a search for at most `size` departures."""
        ids = tuple(recommendation.document.id for recommendation in shown)
        return cls(ids, rank(shown[-1].score, shown[-1].document) if len(shown) == size else None)

    def admits(self, candidate: Rank) -> bool:
        """Return whether a departure of this rank would be shown."""
        return -candidate[0] >= weights.MIN_SHOWN_SCORE and (self.last is None or candidate < self.last)


class ShownResults(Struct, frozen=True, array_like=True):
    primary: ShownList
    relaxed: ShownList | None
    """None if the relaxed search did not run."""

    @classmethod
    def of(cls, primary: Sequence[Recommendation], relaxed: Sequence[Recommendation]) -> "ShownResults":
        rest = ShownList.of(relaxed, weights.RESULTS - len(primary)) if needs_relaxed_search(primary) else None
        return cls(ShownList.of(primary, weights.RESULTS), rest)


class ChangedDeparture(Struct, frozen=True):
    id: int
    states: Sequence[SearchedFields | None]
    """What the index has had, in any order; None if it did not have the departure."""

    @classmethod
    def of(cls, id_: int, states: Iterable[SearchedFields | None]) -> "ChangedDeparture":
        distinct: list[SearchedFields | None] = []
        for state in states:
            if state not in distinct:
                distinct.append(state)
        return cls(id_, distinct)


def rank(score: int, document: SearchedFields) -> Rank:
    return (-score, document.start, document.id)


class _Search:
    """The primary or the relaxed search."""

    def __init__(self, search: SearchContext, shown: ShownList) -> None:
        self._shown = shown
        self._condition = candidate_filter(search)
        self._rules = applicable_rules(search)

    def candidates(self, documents: Sequence[SearchedFields]) -> list[bool]:
        return self._condition.matches_all(documents)

    def shows_any(self, candidates: Sequence[SearchedFields]) -> bool:
        """Return whether one of the candidates ranks among those that are shown."""
        scores = score_all(candidates, self._rules)
        return any(map(self._shown.admits, map(rank, scores, candidates)))


class ShownSearch:
    """A search, and what it has shown."""

    def __init__(self, search: SearchContext, shown: ShownResults) -> None:
        self._ids = {*shown.primary.ids, *(shown.relaxed.ids if shown.relaxed else ())}
        self._primary = _Search(search, shown.primary)
        # What the primary search has shown is not asked for again: a change of that is noticed by its id.
        self._relaxed = _Search(search.relaxed(()), shown.relaxed) if shown.relaxed else None

    def is_affected(self, changes: Sequence[ChangedDeparture]) -> bool:
        """Return whether one of the changes may have changed the results."""
        if not self._ids.isdisjoint([change.id for change in changes]):
            return True
        changed = [change for change in changes if len(change.states) > 1]
        documents = [state for change in changed for state in change.states if state is not None]
        candidates = self._primary.candidates(documents)
        if any(candidates) and (
            _changes_number(changed, candidates) or self._primary.shows_any([*compress(documents, candidates)])
        ):
            return True
        if self._relaxed is None:
            return False
        return self._relaxed.shows_any([*compress(documents, self._relaxed.candidates(documents))])


def _changes_number(changed: Iterable[ChangedDeparture], candidates: Iterable[bool]) -> bool:
    """Return whether a departure has been a candidate in some of its states only.

    `candidates` says so of each state in order, of those that are not None.
    """
    remaining = iter(candidates)
    return any(len({state is not None and next(remaining) for state in change.states}) > 1 for change in changed)
