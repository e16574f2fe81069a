"""Candidate filter: which departures a search scores."""

from collections.abc import Iterator
from datetime import date, timedelta

from scoring import weights
from scoring.availability import ACTIVE, HAS_SPOTS, ON_SALE
from scoring.context import SearchContext
from scoring.predicates import And, Condition, Equals, In, Not, Or, Range


def candidate_filter(search: SearchContext) -> Condition:
    """Return the condition under which a departure is a candidate, and scored."""
    return And(tuple(_relaxed(search) if search.is_relaxed else _primary(search)))


def _primary(search: SearchContext) -> Iterator[Condition]:
    yield from _common(search, search.continents)
    if search.preferences.preferred_type_id is not None:
        yield Equals("type", str(search.preferences.preferred_type_id))
    if not search.is_private:
        yield from _within_horizon(search.today)
        yield from _chosen_dates(search)


def _relaxed(search: SearchContext) -> Iterator[Condition]:
    yield from _common(search, _widened_continents(search))
    if search.exclude_ids:
        yield Not(In("id", search.exclude_ids))
    if search.is_private:
        yield Or((search.private_departure, And(tuple(_within_horizon(search.today)))))
    else:
        yield from _within_horizon(search.today)
        yield from _widened_dates(search)


def _common(search: SearchContext, continents: tuple[str, ...]) -> Iterator[Condition]:
    """Conditions of both searches, each within its own limits."""
    preferences, limits = search.preferences, search.limits
    yield ACTIVE
    yield ON_SALE
    if preferences.has_places:
        yield Or((In("country", search.countries), In("continent", continents)))
    if preferences.difficulty is not None:
        tolerance = limits.difficulty_tolerance
        yield Range("level", preferences.difficulty - tolerance, preferences.difficulty + tolerance)
    if preferences.budget is not None:
        yield search.price_within(limits.budget_percent)


def _widened_continents(search: SearchContext) -> tuple[str, ...]:
    """Return the chosen continents and those of the chosen countries."""
    known = search.lookups.continents
    reached = {known[country] for country in search.preferences.selected_countries if country in known}
    return tuple(sorted({*search.continents, *reached}))


def _within_horizon(today: date) -> Iterator[Condition]:
    """Places left, and a start from today to the end of the last year that searches look ahead."""
    yield HAS_SPOTS
    yield Range("start", today.isoformat(), date(today.year + weights.YEARS_AHEAD, 12, 31).isoformat())


def _chosen_dates(search: SearchContext) -> Iterator[Condition]:
    preferences = search.preferences
    if preferences.year is not None:
        yield _months(preferences.year, 1, 12)
    if preferences.month is not None:
        yield Equals("month", preferences.month)
    if preferences.earliest_start and preferences.earliest_start > search.today:
        yield Range("start", preferences.earliest_start.isoformat(), None)


def _widened_dates(search: SearchContext) -> Iterator[Condition]:
    """Yield the chosen dates, widened by `weights.MONTHS_AROUND` on both sides."""
    year, month, around = search.preferences.year, search.preferences.month, weights.MONTHS_AROUND
    if year is not None:
        yield _months(year, (month or 1) - around, (month or 12) + around)
    elif month is not None:
        yield In("month", tuple(sorted((month - 1 + shift) % 12 + 1 for shift in range(-around, around + 1))))


def _months(year: int, first: int, last: int) -> Condition:
    """Match departures from the start of month `first` to the end of month `last`.

    Months are counted from January = 1 of the year and may lie outside of 1..12.
    """
    last_day = _first_day(year, last + 1) - timedelta(1)
    return Range("start", _first_day(year, first).isoformat(), last_day.isoformat())


def _first_day(year: int, month: int) -> date:
    """Return the first day of a month, which may lie outside of 1..12; years are clamped to those of `date`."""
    years, index = divmod(month - 1, 12)
    return date(min(max(year + years, date.min.year), date.max.year), index + 1, 1)
