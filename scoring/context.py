"""The context of one search: everything but the departure that candidates and points depend on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from schemas.api.preferences import Preferences
from scoring.predicates import Condition, Equals, Range
from scoring.weights import PLATFORM_WEIGHTS, PRIMARY, RELAXED, SearchLimits, Weights


def as_terms(values: Iterable[object]) -> tuple[str, ...]:
    """Return ids and names as documents contain them: as text."""
    return tuple(map(str, values))


@dataclass(frozen=True)
class SearchLookups:
    """Lookup tables that preferences are resolved against."""

    private_type_id: int
    """Id of the trip type Private Groups."""
    continents: Mapping[int, str]
    """Display name of the continent, by country id."""


@dataclass(frozen=True)
class SearchContext:
    preferences: Preferences
    today: date
    lookups: SearchLookups
    weights: Weights = PLATFORM_WEIGHTS
    is_relaxed: bool = False
    exclude_ids: tuple[int, ...] = ()
    """Ids of the departures that the primary search found."""

    def relaxed(self, exclude_ids: tuple[int, ...]) -> "SearchContext":
        """Return the context of the relaxed search that follows this one."""
        return replace(self, is_relaxed=True, exclude_ids=exclude_ids)

    @property
    def limits(self) -> SearchLimits:
        return RELAXED if self.is_relaxed else PRIMARY

    @property
    def countries(self) -> tuple[str, ...]:
        return as_terms(self.preferences.selected_countries)

    @property
    def continents(self) -> tuple[str, ...]:
        return as_terms(self.preferences.selected_continents)

    @property
    def themes(self) -> tuple[str, ...]:
        return as_terms(self.preferences.preferred_theme_ids)

    @property
    def is_private(self) -> bool:
        """Whether the traveller searches for Private Groups, which have no fixed dates or places."""
        return self.preferences.preferred_type_id == self.lookups.private_type_id

    @property
    def private_departure(self) -> Condition:
        return Equals("type", str(self.lookups.private_type_id))

    def price_within(self, percent: int) -> Condition:
        assert self.preferences.budget is not None
        return price_within(percent, self.preferences.budget)


def price_within(percent: int, budget: Decimal) -> Condition:
    """Price <= percent % of the budget. Exact: the hundredth and the hundred minor units per unit cancel out."""
    numerator, denominator = budget.as_integer_ratio()
    return Range("price", None, numerator * percent // denominator)
