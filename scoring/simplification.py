"""Conditions in a simpler form that holds for the same departures.

Only what rules and filters contain is recognised, because each search pays for it; other conditions stay as they are.
"""

from collections.abc import Iterable, Mapping, Set
from functools import reduce
from typing import Any, TypeAlias

from msgspec.structs import fields

from schemas.index_document import SearchedFields
from scoring.predicates import ALWAYS, And, AtLeastN, Condition, Equals, Everything, In, Not, Or, Range

NOTHING: Condition = Or(())

FieldCondition: TypeAlias = Range | Equals | In | AtLeastN
Facts: TypeAlias = Mapping[str, FieldCondition]
"""Conditions that all candidates meet, by field."""

NO_FACTS: Facts = {}

SINGLE_VALUED = frozenset(field.name for field in fields(SearchedFields) if field.type != list[str])


def simplify(condition: Condition, facts: Facts = NO_FACTS) -> Condition:
    """Return a condition that holds for the same of the departures that meet the facts."""
    if isinstance(condition, FieldCondition):
        return _simplify_field(condition, facts.get(condition.field))
    if isinstance(condition, Not):
        return negation(simplify(condition.condition, facts))
    if isinstance(condition, And):
        return intersection(condition.conditions, facts)
    if isinstance(condition, Or):
        return reduce(union, [simplify(part, facts) for part in condition.conditions], NOTHING)
    return condition


def fields_of(condition: Condition) -> Set[str]:
    """Return the fields that the condition refers to."""
    if isinstance(condition, FieldCondition):
        return frozenset((condition.field,))
    if isinstance(condition, Not):
        return fields_of(condition.condition)
    if isinstance(condition, And | Or):
        return frozenset().union(*map(fields_of, condition.conditions))
    return frozenset()


def negation(condition: Condition) -> Condition:
    if isinstance(condition, Not):
        return condition.condition
    if isinstance(condition, Everything):
        return NOTHING
    return ALWAYS if condition == NOTHING else Not(condition)


def union(one: Condition, other: Condition) -> Condition:
    """Return the disjunction of two simplified conditions. Ranges that overlap become one."""
    if one is NOTHING or isinstance(other, Everything):
        return other
    if isinstance(one, Everything):
        return one
    parts = [*_alternatives(one)]
    for part in _alternatives(other):
        _include(part, parts)
    return parts[0] if len(parts) == 1 else Or((*parts,))


def intersection(conditions: Iterable[Condition], facts: Facts = NO_FACTS) -> Condition:
    """Return the conjunction. Ranges of the same field become one."""
    ranges: dict[str, Range] = {}
    parts: list[Condition] = []
    for part in [simplify(condition, facts) for condition in conditions]:
        if isinstance(part, Range):
            ranges[part.field] = _common(ranges[part.field], part) if part.field in ranges else part
        elif part == NOTHING:
            return NOTHING
        elif not isinstance(part, Everything):
            parts.append(part)
    if any(map(_is_empty, ranges.values())):
        return NOTHING
    parts.extend(ranges.values())
    if len(parts) > 1:
        return And((*parts,))
    return parts[0] if parts else ALWAYS


def implies(fact: Condition, condition: Condition) -> bool:
    """Return whether it is plain that the condition holds wherever the fact does."""
    if isinstance(condition, Or):
        parts = fact.conditions if isinstance(fact, Or) else (fact,)
        return all(any(implies(part, other) for other in condition.conditions) for part in parts)
    if isinstance(condition, Range):
        return isinstance(fact, Range) and fact.field == condition.field and _common(fact, condition) == fact
    if isinstance(condition, In) and isinstance(fact, Equals):
        return fact.field == condition.field and fact.value in condition.values
    if isinstance(condition, In) and (isinstance(fact, In) or (isinstance(fact, AtLeastN) and fact.count > 0)):
        return fact.field == condition.field and {*fact.values} <= {*condition.values}
    return fact == condition


def _simplify_field(condition: FieldCondition, fact: FieldCondition | None) -> Condition:
    if _is_empty(condition) or (fact is not None and _excludes(fact, condition)):
        return NOTHING
    return ALWAYS if fact is not None and implies(fact, condition) else condition


def _excludes(fact: FieldCondition, condition: FieldCondition) -> bool:
    """Return whether it is plain that the condition holds nowhere where the fact does; both are of the same field."""
    if isinstance(fact, Range):
        return isinstance(condition, Range) and not _overlap(fact, condition)
    if isinstance(fact, Equals) and isinstance(condition, Equals):
        return fact.value != condition.value and fact.field in SINGLE_VALUED
    return False


def _is_empty(condition: FieldCondition) -> bool:
    """Return whether the condition holds for no departure."""
    if isinstance(condition, Range):
        low: Any = condition.low
        return low is not None and condition.high is not None and low > condition.high
    if isinstance(condition, In | AtLeastN):
        return len(condition.values) < (condition.count if isinstance(condition, AtLeastN) else 1)
    return False


def _alternatives(condition: Condition) -> tuple[Condition, ...]:
    return condition.conditions if isinstance(condition, Or) else (condition,)


def _include(part: Condition, parts: list[Condition]) -> None:
    """Add an alternative to others, unless one of them includes it."""
    for number, other in enumerate(parts):
        if isinstance(part, Range) and isinstance(other, Range):
            if part.field == other.field and _overlap(part, other):
                parts[number] = _span(part, other)
                return
        elif implies(part, other):
            return
        elif implies(other, part):
            parts[number] = part
            return
    parts.append(part)


def _overlap(one: Range, other: Range) -> bool:
    """Return whether two ranges of the same field have values in common; neither is empty."""
    low: Any = one.low
    high: Any = one.high
    return (low is None or other.high is None or low <= other.high) and (
        high is None or other.low is None or high >= other.low
    )


def _common(one: Range, other: Range) -> Range:
    """Return the intersection of two ranges of the same field."""
    low: Any = one.low
    high: Any = one.high
    if low is None or (other.low is not None and other.low > low):
        low = other.low
    if high is None or (other.high is not None and other.high < high):
        high = other.high
    return Range(one.field, low, high)


def _span(one: Range, other: Range) -> Range:
    """Return the union of two ranges of the same field that overlap."""
    low: Any = None if one.low is None or other.low is None else min((one.low, other.low))
    high: Any = None if one.high is None or other.high is None else max((one.high, other.high))
    return Range(one.field, low, high)
