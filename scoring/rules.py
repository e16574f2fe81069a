"""The rules: name, points, label and condition of each. Ranking and explanation are both made from them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, ParamSpec, TypeAlias, cast

from msgspec import Struct

from schemas.enums import Continent, Status
from schemas.index_document import SearchedFields
from scoring import weights
from scoring.context import SearchContext, price_within
from scoring.predicates import ALWAYS, And, AtLeastN, Condition, Equals, In, Not, Or, Range
from scoring.weights import SearchLimits

BASE = "base"


class ScoreLine(Struct, frozen=True):
    """One rule that applies to a departure."""

    rule: str
    points: int
    label: str


class FieldLabel(Struct, frozen=True):
    """A label that depends on one field of the departure."""

    field: str
    render: Callable[[Any], str]


class Rule(Struct, frozen=True, dict=True, cache_hash=True):
    name: str
    points: int
    label: str | FieldLabel
    """Label without the points."""
    condition: Condition

    def explain(self, document: SearchedFields) -> ScoreLine:
        """Return the line that explains the rule for a departure to which it applies."""
        return self.constant_line or self._line_for(document)

    @cached_property
    def constant_line(self) -> ScoreLine | None:
        """The line, where it is the same for all departures."""
        return self._line(self.label) if isinstance(self.label, str) else None

    def _line_for(self, document: SearchedFields) -> ScoreLine:
        assert isinstance(self.label, FieldLabel)
        value = getattr(document, self.label.field)
        line = self._lines.get(value)
        if line is None:
            line = self._lines[value] = self._line(self.label.render(value))
        return line

    @cached_property
    def _lines(self) -> dict[object, ScoreLine]:
        """Lines by the value of the label's field, which has few where the rule applies."""
        return {}

    def _line(self, label: str) -> ScoreLine:
        return ScoreLine(self.name, self.points, f"{label} [{self.points:+d}]")


RuleGroup: TypeAlias = tuple[Rule, ...]
"""Mutually exclusive rules: only the first that holds applies."""

MAX_KEPT = 1024
"""Groups of rules of one kind that are kept: many searches share the values that their groups are made of."""

Values = ParamSpec("Values")


def kept(make_rules: Callable[Values, Iterator[Rule]]) -> Callable[Values, RuleGroup]:
    """Decorate a function that makes rules of nothing but its arguments: recent groups are kept, and what is made of
    them, such as the points in Elasticsearch, is kept with them."""

    def make(*values: Values.args, **named: Values.kwargs) -> RuleGroup:
        return tuple(make_rules(*values, **named))

    return cast(Callable[Values, RuleGroup], lru_cache(MAX_KEPT)(make))


def applicable_rules(search: SearchContext) -> tuple[RuleGroup, ...]:
    """Return the rules that can apply in this search, in the order in which they are explained."""
    return tuple(filter(None, [tuple(rules(search)) for rules in RULES]))


@kept
def _rule(name: str, points: int, label: str, condition: Condition) -> Iterator[Rule]:
    yield Rule(name, points, label, condition)


def base(search: SearchContext) -> RuleGroup:
    return _rule(BASE, search.weights.base, "Base Score", ALWAYS)


def expanded(search: SearchContext) -> RuleGroup:
    return _rule("expanded", search.weights.expanded, "Expanded Result", ALWAYS) if search.is_relaxed else ()


def themes(search: SearchContext) -> RuleGroup:
    return _themes(search.themes, search.weights.excellent_themes, search.weights.good_themes)


@kept
def _themes(wanted: tuple[str, ...], excellent: int, good: int) -> Iterator[Rule]:
    if wanted:
        yield Rule("excellent_themes", excellent, "Excellent Theme Match", AtLeastN(2, "themes", wanted))
        yield Rule("good_themes", good, "Good Theme Match", In("themes", wanted))


def no_themes(search: SearchContext) -> RuleGroup:
    if not search.themes:
        return ()
    return _rule("no_themes", search.weights.no_themes, "No Theme Match", Not(In("themes", search.themes)))


def different_type(search: SearchContext) -> RuleGroup:
    wanted = search.preferences.preferred_type_id
    if not search.is_relaxed or wanted is None:
        return ()
    return _rule("different_type", search.weights.different_type, "Different Type", Not(Equals("type", str(wanted))))


def difficulty(search: SearchContext) -> RuleGroup:
    level = search.preferences.difficulty
    if level is None:
        return ()
    return _rule("perfect_difficulty", search.weights.perfect_difficulty, "Perfect Difficulty", Equals("level", level))


def duration(search: SearchContext) -> RuleGroup:
    chosen, points = search.preferences, search.weights
    return _duration(
        chosen.min_duration,
        chosen.max_duration,
        search.limits,
        search.private_departure,
        points.ideal_duration,
        points.good_duration,
    )


@kept
def _duration(  # noqa: PLR0913, PLR0917  # all that the rules depend on
    shortest: int, longest: int, limits: SearchLimits, private: Condition, ideal: int, good: int
) -> Iterator[Rule]:
    near, dropped_beyond = _days_near(limits.good_duration_days, shortest, longest), limits.dropped_beyond_days
    yield Rule("flexible_duration", ideal, "Flexible Duration", private)
    yield Rule("ideal_duration", ideal, _days("Ideal Duration"), Range("days", shortest, longest))
    yield Rule("good_duration", good, _days("Good Duration"), near)
    if dropped_beyond is not None:
        far = Not(_days_near(dropped_beyond, shortest, longest))
        yield Rule("wrong_duration", weights.DISQUALIFY, _days("Wrong Duration"), far)


def _days(text: str) -> FieldLabel:
    return FieldLabel("days", lambda days: f"{text} ({days}d)")


def _days_near(distance: int, *ends: int) -> Condition:
    return Or(tuple(Range("days", end - distance, end + distance) for end in ends))


def budget(search: SearchContext) -> RuleGroup:
    points = search.weights
    return _budget(search.preferences.budget, points.within_budget, points.slightly_over_budget, points.over_budget)


@kept
def _budget(chosen: Decimal | None, within: int, slightly: int, over: int) -> Iterator[Rule]:
    if chosen is not None:
        yield Rule("within_budget", within, "Within Budget", price_within(100, chosen))
        slightly_over = price_within(weights.SLIGHTLY_OVER_PERCENT, chosen)
        yield Rule("slightly_over_budget", slightly, "Slightly Over (+10%)", slightly_over)
        yield Rule("over_budget", over, "Over Budget (+20%)", price_within(weights.OVER_PERCENT, chosen))


def guaranteed(search: SearchContext) -> RuleGroup:
    return _rule("guaranteed", search.weights.guaranteed, "Guaranteed", Equals("status", Status.GUARANTEED.value))


def last_places(search: SearchContext) -> RuleGroup:
    return _rule("last_places", search.weights.last_places, "Last Places", Equals("status", Status.LAST_PLACES.value))


def departing_soon(search: SearchContext) -> RuleGroup:
    return _departing_soon(search.today, search.private_departure, search.weights.soon)


@kept
def _departing_soon(today: date, private: Condition, points: int) -> Iterator[Rule]:
    label = FieldLabel("start", lambda start: f"Soon ({(date.fromisoformat(start) - today).days}d)")
    departs = Range("start", None, (today + timedelta(weights.SOON_DAYS)).isoformat())
    yield Rule("soon", points, label, And((Not(private), departs)))


def location(search: SearchContext) -> RuleGroup:
    if not search.preferences.has_places:
        return ()
    return _location(search.countries, search.continents, search.weights.country, search.weights.continent)


@kept
def _location(countries: tuple[str, ...], continents: tuple[str, ...], country: int, continent: int) -> Iterator[Rule]:
    chosen: Condition = In("country", countries)
    if Continent.ANTARCTICA in continents:
        chosen = Or((chosen, Equals("antarctica", True)))
    yield Rule("country", country, "Country Match", chosen)
    yield Rule("continent", continent, "Continent Match", In("continent", continents))


RULES: tuple[Callable[[SearchContext], Iterable[Rule]], ...] = (
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
