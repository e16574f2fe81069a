"""Points and limits of the rules."""

from dataclasses import dataclass

BASE = 30

EXCELLENT_THEMES = 25
GOOD_THEMES = 12
NO_THEMES = -15
PERFECT_DIFFICULTY = 15
IDEAL_DURATION = 12
GOOD_DURATION = 8
WITHIN_BUDGET = 12
SLIGHTLY_OVER_BUDGET = 8
OVER_BUDGET = 5
GUARANTEED = 7
LAST_PLACES = 15
SOON = 7
COUNTRY = 15
CONTINENT = 5

EXPANDED = -15
DIFFERENT_TYPE = -10

DISQUALIFY = -1000
"""Takes a departure below `MIN_SHOWN_SCORE` whatever else applies to it."""

SLIGHTLY_OVER_PERCENT = 110
OVER_PERCENT = 120
SOON_DAYS = 30

HIGHEST = 100
LOWEST = 0
MIN_SHOWN_SCORE = 30
"""Departures with a lower score are not shown."""

RESULTS = 30
RELAX_AT_MOST = 5
"""The relaxed search runs if the primary search shows at most this many departures."""
YEARS_AHEAD = 1
"""Departures after the end of this many years ahead are no candidates."""
MONTHS_AROUND = 2
"""Months by which the relaxed search widens the chosen dates on both sides."""

THRESHOLDS = {"HIGH": 70, "MID": 50}


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """Limits that differ between the primary and the relaxed search."""

    difficulty_tolerance: int
    """Levels above and below the chosen difficulty."""
    budget_percent: int
    """Highest price, in percent of the budget."""
    good_duration_days: int
    """Days from the chosen durations within which a duration is good."""
    dropped_beyond_days: int | None
    """Days from the chosen durations beyond which a departure is not shown; None for no limit."""


PRIMARY = SearchLimits(difficulty_tolerance=1, budget_percent=130, good_duration_days=4, dropped_beyond_days=7)
RELAXED = SearchLimits(difficulty_tolerance=2, budget_percent=150, good_duration_days=10, dropped_beyond_days=None)
