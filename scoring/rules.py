"""The rules: points, label and condition of each, once. Ranking and explanation are both made from them."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cached_property
from typing import TypeAlias

from msgspec import Struct

from schemas.enums import Continent, Status
from schemas.index_document import TripDocument
from scoring import weights
from scoring.context import Search
from scoring.predicates import ALWAYS, AllOf, AnyOf, AtLeast, Between, Condition, Is, Not, OneOf

BASE = "base"


class Line(Struct):
    """One rule that applies to a departure."""

    rule: str
    points: int
    label: str


class Rule(Struct, frozen=True, dict=True):
    name: str
    points: int
    text: str | Callable[[TripDocument], str]
    condition: Condition

    def line(self, document: TripDocument) -> Line:
        """What it says of a departure to which it applies."""
        return self._same_line if isinstance(self.text, str) else self._line(self.text(document))

    @cached_property
    def _same_line(self) -> Line:
        assert isinstance(self.text, str)
        return self._line(self.text)

    def _line(self, text: str) -> Line:
        return Line(self.name, self.points, f"{text} [{self.points:+d}]")


Alternatives: TypeAlias = tuple[Rule, ...]
"""Of these rules only the first that holds counts."""


def rules(search: Search) -> tuple[Alternatives, ...]:
    """Those that can apply in this search, in the order in which they are explained."""
    return tuple(filter(None, (tuple(alternatives(search)) for alternatives in ALTERNATIVES)))


def base(_search: Search) -> Iterator[Rule]:
    yield Rule(BASE, weights.BASE, "Base Score", ALWAYS)


def expanded(search: Search) -> Iterator[Rule]:
    if search.relaxed:
        yield Rule("expanded", weights.EXPANDED, "Expanded Result", ALWAYS)


def themes(search: Search) -> Iterator[Rule]:
    if search.themes:
        two, one = AtLeast(2, "themes", search.themes), OneOf("themes", search.themes)
        yield Rule("excellent_themes", weights.EXCELLENT_THEMES, "Excellent Theme Match", two)
        yield Rule("good_themes", weights.GOOD_THEMES, "Good Theme Match", one)


def no_themes(search: Search) -> Iterator[Rule]:
    if search.themes:
        yield Rule("no_themes", weights.NO_THEMES, "No Theme Match", Not(OneOf("themes", search.themes)))


def other_type(search: Search) -> Iterator[Rule]:
    asked = search.preferences.preferred_type_id
    if search.relaxed and asked is not None:
        yield Rule("different_type", weights.DIFFERENT_TYPE, "Different Type", Not(Is("type", str(asked))))


def difficulty(search: Search) -> Iterator[Rule]:
    level = search.preferences.difficulty
    if level is not None:
        yield Rule("perfect_difficulty", weights.PERFECT_DIFFICULTY, "Perfect Difficulty", Is("level", level))


def duration(search: Search) -> Iterator[Rule]:
    shortest, longest = search.preferences.min_duration, search.preferences.max_duration
    good, dropped_beyond = search.limits.good_duration_days, search.limits.dropped_beyond_days
    near, ideal = _days_near(good, shortest, longest), Between("days", shortest, longest)
    yield Rule("flexible_duration", weights.IDEAL_DURATION, "Flexible Duration", search.private_departure)
    yield Rule("ideal_duration", weights.IDEAL_DURATION, _days("Ideal Duration"), ideal)
    yield Rule("good_duration", weights.GOOD_DURATION, _days("Good Duration"), near)
    if dropped_beyond is not None:
        far = Not(_days_near(dropped_beyond, shortest, longest))
        yield Rule("wrong_duration", weights.DROPPED, _days("Wrong Duration"), far)


def _days(text: str) -> Callable[[TripDocument], str]:
    return lambda document: f"{text} ({document.days}d)"


def _days_near(distance: int, *ends: int) -> Condition:
    return AnyOf(tuple(Between("days", end - distance, end + distance) for end in ends))


def budget(search: Search) -> Iterator[Rule]:
    if search.preferences.budget is not None:
        within, slightly, over = map(search.price_within, (100, weights.SLIGHTLY_OVER_PERCENT, weights.OVER_PERCENT))
        yield Rule("within_budget", weights.WITHIN_BUDGET, "Within Budget", within)
        yield Rule("slightly_over_budget", weights.SLIGHTLY_OVER_BUDGET, "Slightly Over (+10%)", slightly)
        yield Rule("over_budget", weights.OVER_BUDGET, "Over Budget (+20%)", over)


def guaranteed(_search: Search) -> Iterator[Rule]:
    yield Rule("guaranteed", weights.GUARANTEED, "Guaranteed", Is("status", Status.GUARANTEED.value))


def last_places(_search: Search) -> Iterator[Rule]:
    yield Rule("last_places", weights.LAST_PLACES, "Last Places", Is("status", Status.LAST_PLACES.value))


def soon(search: Search) -> Iterator[Rule]:
    def text(document: TripDocument) -> str:
        return f"Soon ({(date.fromisoformat(document.start) - search.today).days}d)"

    latest = search.today + timedelta(weights.SOON_DAYS)
    departs = Between("start", None, latest.isoformat())
    yield Rule("soon", weights.SOON, text, AllOf((Not(search.private_departure), departs)))


def places(search: Search) -> Iterator[Rule]:
    if search.preferences.has_places:
        country: Condition = OneOf("country", search.countries)
        if Continent.ANTARCTICA in search.continents:
            country = AnyOf((country, Is("antarctica", True)))
        yield Rule("country", weights.COUNTRY, "Country Match", country)
        yield Rule("continent", weights.CONTINENT, "Continent Match", OneOf("continent", search.continents))


ALTERNATIVES: tuple[Callable[[Search], Iterator[Rule]], ...] = (
    base,
    expanded,
    themes,
    no_themes,
    other_type,
    difficulty,
    duration,
    budget,
    guaranteed,
    last_places,
    soon,
    places,
)
