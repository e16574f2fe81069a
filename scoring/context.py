"""One search: everything that the candidates and the points of a trip depend on besides the trip."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from schemas.api.preferences import Preferences
from scoring import weights
from scoring.predicates import Condition, Equals, Range


def _terms(values: Iterable[object]) -> tuple[str, ...]:
    """Ids and names as documents hold them."""
    return tuple(map(str, values))


@dataclass(frozen=True)
class SearchLookups:
    """What preferences are resolved against; `continents` has each country's by its display name."""

    private_type_id: int
    continents: Mapping[int, str]


@dataclass(frozen=True)
class SearchContext:
    preferences: Preferences
    today: date
    catalogue: SearchLookups
    relaxed: bool = False
    listed: tuple[int, ...] = ()
    """Departures that the primary search has found already."""

    def relax(self, listed: tuple[int, ...]) -> "SearchContext":
        return replace(self, relaxed=True, listed=listed)

    @property
    def limits(self) -> weights.Limits:
        return weights.RELAXED if self.relaxed else weights.PRIMARY

    @property
    def countries(self) -> tuple[str, ...]:
        return _terms(self.preferences.selected_countries)

    @property
    def continents(self) -> tuple[str, ...]:
        return _terms(self.preferences.selected_continents)

    @property
    def themes(self) -> tuple[str, ...]:
        return _terms(self.preferences.preferred_theme_ids)

    @property
    def is_private(self) -> bool:
        return self.preferences.preferred_type_id == self.catalogue.private_type_id

    @property
    def private_departure(self) -> Condition:
        return Equals("type", str(self.catalogue.private_type_id))

    def price_within(self, percent: int) -> Condition:
        """Price <= percent % of the budget, exactly: the hundredth part and a hundred minor units cancel out."""
        assert self.preferences.budget is not None
        numerator, denominator = self.preferences.budget.as_integer_ratio()
        return Range("price", None, numerator * percent // denominator)
