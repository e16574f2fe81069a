"""The interface of trip searches, which the search in Elasticsearch and the one in Postgres implement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.index_document import TripDocument
from scoring.predicates import Condition
from scoring.rules import RuleGroup


@dataclass(frozen=True, slots=True)
class SearchHits:
    """The best candidates in order, and the number of all candidates."""

    total: int
    documents: Sequence[TripDocument]


class TripSearch(Protocol):
    """A source of candidates, ranked by the rules."""

    async def find(self, condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchHits:
        """Return the `size` best departures for which the condition holds.

        Raises: BackendUnavailableError, OverloadedError.
        """
        ...


class CountingTripSearch(TripSearch, Protocol):
    async def count(self, condition: Condition) -> int:
        """Return the number of departures for which the condition holds.

        Raises: BackendUnavailableError, OverloadedError.
        """
        ...
