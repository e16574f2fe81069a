"""Weights and limits of the rules: the business's numbers."""

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
"""Takes a trip below the floor whatever else speaks for it."""

SLIGHTLY_OVER_PERCENT = 110
OVER_PERCENT = 120
SOON_DAYS = 30

HIGHEST = 100
LOWEST = 0
MIN_SHOWN_SCORE = 30
"""The lowest score that is shown."""

RESULTS = 30
RELAX_AT_MOST = 5
YEARS_AHEAD = 1
MONTHS_AROUND = 2

THRESHOLDS = {"HIGH": 70, "MID": 50}


@dataclass(frozen=True, kw_only=True)
class Limits:
    difficulty_tolerance: int
    budget_percent: int
    good_duration_days: int
    dropped_beyond_days: int | None


PRIMARY = Limits(difficulty_tolerance=1, budget_percent=130, good_duration_days=4, dropped_beyond_days=7)
RELAXED = Limits(difficulty_tolerance=2, budget_percent=150, good_duration_days=10, dropped_beyond_days=None)
