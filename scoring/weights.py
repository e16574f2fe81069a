"""Points and limits of the rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MIN_SHOWN_SCORE = 30
"""Departures with a lower score are not shown."""

MAX_POINTS = 100
"""Largest number of points of one rule: all bonuses together stay below what `DISQUALIFY` takes away."""

Bonus = Annotated[int, Field(ge=0, le=MAX_POINTS, strict=True)]
Penalty = Annotated[int, Field(ge=-MAX_POINTS, le=0, strict=True)]

DESCENDING: Sequence[Sequence[str]] = (
    ("excellent_themes", "good_themes"),
    ("ideal_duration", "good_duration"),
    ("within_budget", "slightly_over_budget", "over_budget"),
    ("country", "continent"),
)
"""Alternatives, the best first: none may give more points than the one before."""


class Weights(BaseModel):
    """Points of the rules; the defaults are the platform's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base: Bonus = 30
    excellent_themes: Bonus = 25
    good_themes: Bonus = 12
    no_themes: Penalty = -15
    perfect_difficulty: Bonus = 15
    ideal_duration: Bonus = 12
    good_duration: Bonus = 8
    within_budget: Bonus = 12
    slightly_over_budget: Bonus = 8
    over_budget: Bonus = 5
    guaranteed: Bonus = 7
    last_places: Bonus = 15
    soon: Bonus = 7
    country: Bonus = 15
    continent: Bonus = 5
    expanded: Penalty = -15
    different_type: Penalty = -10

    @model_validator(mode="after")
    def _check(self) -> Self:
        for alternatives in DESCENDING:
            for better, worse in pairwise(alternatives):
                if getattr(self, better) < getattr(self, worse):
                    raise ValueError(f"{better} should be at least {worse}, which is the worse match")
        bonuses = sum(points for points in self.model_dump().values() if points > 0)
        if bonuses < MIN_SHOWN_SCORE:
            raise ValueError(f"all bonuses together should be at least {MIN_SHOWN_SCORE}, or nothing is ever shown")
        return self


PLATFORM_WEIGHTS = Weights()

DISQUALIFY = -1000
"""Takes a departure below `MIN_SHOWN_SCORE` whatever else applies to it."""

SLIGHTLY_OVER_PERCENT = 110
OVER_PERCENT = 120
SOON_DAYS = 30

HIGHEST = 100
LOWEST = 0

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
