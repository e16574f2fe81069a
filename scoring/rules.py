"""The rules: name, points, label and condition of each. Ranking and explanation are both made from them."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cached_property
from typing import TypeAlias

from msgspec import Struct

from schemas.enums import Continent, Status
from schemas.index_document import SearchedFields
from scoring import weights
from scoring.context import SearchContext
from scoring.predicates import ALWAYS, And, AtLeastN, Condition, Equals, In, Not, Or, Range

BASE = "base"


class ScoreLine(Struct):
    """One rule that applies to a departure."""

    rule: str
    points: int
    label: str


class Rule(Struct, frozen=True, dict=True):
    name: str
    points: int
    label: str | Callable[[SearchedFields], str]
    """Label without the points; a function if it depends on the departure."""
    condition: Condition

    def explain(self, document: SearchedFields) -> ScoreLine:
        """Return the line that explains the rule for a departure to which it applies."""
        return self._constant_line if isinstance(self.label, str) else self._line(self.label(document))

    @cached_property
    def _constant_line(self) -> ScoreLine:
        assert isinstance(self.label, str)
        return self._line(self.label)

    def _line(self, label: str) -> ScoreLine:
        return ScoreLine(self.name, self.points, f"{label} [{self.points:+d}]")


RuleGroup: TypeAlias = tuple[Rule, ...]
"""Mutually exclusive rules: only the first that holds applies."""


def applicable_rules(search: SearchContext) -> tuple[RuleGroup, ...]:
    """Return the rules that can apply in this search, in the order in which they are explained."""
    return tuple(filter(None, (tuple(rules(search)) for rules in RULES)))


def base(search: SearchContext) -> Iterator[Rule]:
    yield Rule(BASE, search.weights.base, "Base Score", ALWAYS)


def expanded(search: SearchContext) -> Iterator[Rule]:
    if search.is_relaxed:
        yield Rule("expanded", search.weights.expanded, "Expanded Result", ALWAYS)


def themes(search: SearchContext) -> Iterator[Rule]:
    if search.themes:
        two, one = AtLeastN(2, "themes", search.themes), In("themes", search.themes)
        yield Rule("excellent_themes", search.weights.excellent_themes, "Excellent Theme Match", two)
        yield Rule("good_themes", search.weights.good_themes, "Good Theme Match", one)


def no_themes(search: SearchContext) -> Iterator[Rule]:
    if search.themes:
        yield Rule("no_themes", search.weights.no_themes, "No Theme Match", Not(In("themes", search.themes)))


def different_type(search: SearchContext) -> Iterator[Rule]:
    wanted = search.preferences.preferred_type_id
    if search.is_relaxed and wanted is not None:
        yield Rule("different_type", search.weights.different_type, "Different Type", Not(Equals("type", str(wanted))))


def difficulty(search: SearchContext) -> Iterator[Rule]:
    level = search.preferences.difficulty
    if level is not None:
        yield Rule(
            "perfect_difficulty", search.weights.perfect_difficulty, "Perfect Difficulty", Equals("level", level)
        )


def duration(search: SearchContext) -> Iterator[Rule]:
    shortest, longest = search.preferences.min_duration, search.preferences.max_duration
    good, dropped_beyond = search.limits.good_duration_days, search.limits.dropped_beyond_days
    near, ideal = _days_near(good, shortest, longest), Range("days", shortest, longest)
    yield Rule("flexible_duration", search.weights.ideal_duration, "Flexible Duration", search.private_departure)
    yield Rule("ideal_duration", search.weights.ideal_duration, _days("Ideal Duration"), ideal)
    yield Rule("good_duration", search.weights.good_duration, _days("Good Duration"), near)
    if dropped_beyond is not None:
        far = Not(_days_near(dropped_beyond, shortest, longest))
        yield Rule("wrong_duration", weights.DISQUALIFY, _days("Wrong Duration"), far)


def _days(text: str) -> Callable[[SearchedFields], str]:
    return lambda document: f"{text} ({document.days}d)"


def _days_near(distance: int, *ends: int) -> Condition:
    return Or(tuple(Range("days", end - distance, end + distance) for end in ends))


def budget(search: SearchContext) -> Iterator[Rule]:
    if search.preferences.budget is not None:
        within, slightly, over = map(search.price_within, (100, weights.SLIGHTLY_OVER_PERCENT, weights.OVER_PERCENT))
        yield Rule("within_budget", search.weights.within_budget, "Within Budget", within)
        yield Rule("slightly_over_budget", search.weights.slightly_over_budget, "Slightly Over (+10%)", slightly)
        yield Rule("over_budget", search.weights.over_budget, "Over Budget (+20%)", over)


def guaranteed(search: SearchContext) -> Iterator[Rule]:
    yield Rule("guaranteed", search.weights.guaranteed, "Guaranteed", Equals("status", Status.GUARANTEED.value))


def last_places(search: SearchContext) -> Iterator[Rule]:
    yield Rule("last_places", search.weights.last_places, "Last Places", Equals("status", Status.LAST_PLACES.value))


def departing_soon(search: SearchContext) -> Iterator[Rule]:
    def label(document: SearchedFields) -> str:
        return f"Soon ({(date.fromisoformat(document.start) - search.today).days}d)"

    latest = search.today + timedelta(weights.SOON_DAYS)
    departs = Range("start", None, latest.isoformat())
    yield Rule("soon", search.weights.soon, label, And((Not(search.private_departure), departs)))


def location(search: SearchContext) -> Iterator[Rule]:
    if search.preferences.has_places:
        country: Condition = In("country", search.countries)
        if Continent.ANTARCTICA in search.continents:
            country = Or((country, Equals("antarctica", True)))
        yield Rule("country", search.weights.country, "Country Match", country)
        yield Rule("continent", search.weights.continent, "Continent Match", In("continent", search.continents))


RULES: tuple[Callable[[SearchContext], Iterator[Rule]], ...] = (
    base,
    expanded,
    themes,
    no_themes,
    different_type,
    difficulty,
    duration,
    budget,
    guaranteed,
    last_places,
    departing_soon,
    location,
)
