"""Conditions without which a departure cannot reach a score.

A step whose points are more than what a departure may miss has to hold. Whoever looks for departures of at least that
score needs the points of those only that meet these conditions, and there they are the same for all.
"""

from msgspec import Struct

from scoring.point_steps import PointSteps
from scoring.predicates import Condition
from scoring.simplification import NOTHING, implies


class ScoreRequirements(Struct, frozen=True):
    conditions: tuple[Condition, ...]
    """What a departure must meet to reach the score, though it may not suffice."""
    points: PointSteps
    """Points of the departures that meet the conditions."""


def requirements(points: PointSteps, score: int) -> ScoreRequirements:
    """Return what a candidate needs for at least so many points; `points` are those of all candidates."""
    spare = points.constant + sum(points.steps.values()) - score
    conditions: list[Condition] = []
    constant, optional = points.constant, {}
    before, missed, is_required = NOTHING, 0, False
    for holds, added in points.steps.items():
        # The steps of alternatives follow each other: where a step does not hold, those that it includes do not either.
        includes_before = implies(before, holds)
        missed = missed + added if includes_before else added
        is_implied = includes_before and is_required
        is_required = missed > spare
        if is_required:
            constant += added
            if not is_implied:
                conditions.append(holds)
        else:
            optional[holds] = added
        before = holds
    return ScoreRequirements((*conditions,), PointSteps(constant, optional))
