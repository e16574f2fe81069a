"""The points of the rules as steps that add up, each where one condition holds.

Of the alternatives in a group only the first that holds counts. Instead of asking for each of them whether an earlier
one holds, the points of the worst case are given to all candidates, and each better alternative adds its difference to
the next worse one wherever it or a better one holds: 12 points within the budget, 8 slightly over and 5 over are 4, 3
and 5 points at three prices. Steps of several groups with the same condition become one, and two values of a field that
has only one are alternatives, too.
"""

from collections.abc import Iterator, Sequence, Set
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter

from msgspec import Struct

from scoring.predicates import ALWAYS, And, Condition, Equals, In, Or, Range
from scoring.rules import RuleGroup
from scoring.simplification import (
    NOTHING,
    SINGLE_VALUED,
    Facts,
    FieldCondition,
    fields_of,
    implies,
    negation,
    simplify,
    union,
)

MAX_KEPT = 4096
"""Groups of rules, of all kinds, whose steps are kept."""


class PointSteps(Struct, frozen=True):
    constant: int
    """Points of all candidates, negative if penalties outweigh the base."""
    steps: dict[Condition, int]
    """Points, above zero, that are added where the condition holds."""


def point_steps(rules: Sequence[RuleGroup], candidates: Condition) -> PointSteps:
    """Return steps that give each candidate the points of the rules; `candidates` is a simplified condition."""
    known = candidates.conditions if isinstance(candidates, And) else (candidates,)
    facts = {fact.field: fact for fact in known if isinstance(fact, Equals | In | Range)}
    steps: dict[Condition, int] = {}
    for group in rules:
        # Steps of equal groups are made once for equal facts on their fields.
        related = tuple([facts[field] for field in _fields(group) if field in facts])
        for points, holds in _group_steps(group, related):
            steps[holds] = steps.get(holds, 0) + points
    constant = steps.pop(ALWAYS, 0)
    steps.pop(NOTHING, None)
    for fact in known:
        if isinstance(fact, Or):
            constant += sum(steps.pop(holds) for holds in [*steps] if isinstance(holds, Or) and implies(fact, holds))
    _nest_exclusive(steps)
    return PointSteps(constant, {holds: points for holds, points in steps.items() if points})


def _nest_exclusive(steps: dict[Condition, int]) -> None:
    """Replace steps that exclude each other, as their field has one value, by such as include the ones before them.

    The sum of all steps is then what a departure can have.
    """
    by_field: dict[str, list[Equals]] = {}
    for holds in steps:
        if isinstance(holds, Equals) and holds.field in SINGLE_VALUED:
            by_field.setdefault(holds.field, []).append(holds)
    for field, exclusive in by_field.items():
        if len(exclusive) > 1:
            best_first = sorted(
                ((steps.pop(holds), holds.value) for holds in exclusive), key=itemgetter(0), reverse=True
            )
            for number, (better, worse) in enumerate(pairwise([*(points for points, _ in best_first), 0]), 1):
                values = tuple(value for _, value in best_first[:number])
                nested: Condition = In(field, values) if number > 1 else Equals(field, *values)
                steps[nested] = steps.get(nested, 0) + better - worse


@lru_cache(MAX_KEPT)
def _fields(group: RuleGroup) -> Set[str]:
    """Return the fields that the conditions of the rules refer to."""
    return frozenset().union(*[fields_of(rule.condition) for rule in group])


@lru_cache(MAX_KEPT)
def _group_steps(group: RuleGroup, facts: tuple[FieldCondition, ...]) -> Sequence[tuple[int, Condition]]:
    """Return points, and where they are added to those of departures that meet the facts."""
    return (*_steps(group, {fact.field: fact for fact in facts}),)


def _steps(group: RuleGroup, facts: Facts) -> Iterator[tuple[int, Condition]]:
    conditions = [simplify(rule.condition, facts) for rule in group]
    points = [rule.points for rule in group]
    otherwise = 0
    if points[-1] < 0:
        # To take away where a condition holds is to take away everywhere but where it does not.
        conditions[-1] = negation(conditions[-1])
        otherwise, points[-1] = points[-1], 0
        yield otherwise, ALWAYS
    holds: Condition = NOTHING
    for condition, (better, worse) in zip(conditions, pairwise([*points, otherwise]), strict=True):
        holds = union(holds, condition)
        if better >= worse:
            yield better - worse, holds
        else:
            yield better - worse, ALWAYS
            yield worse - better, negation(holds)
