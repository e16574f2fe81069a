"""The start of departures that are on offer, which index documents store in a field of its own.

The index is sorted by it, so that the departures on offer in a range of days follow each other: one comparison of where
they begin and end stands for one of each departure with four conditions.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from schemas.index_document import NOT_OFFERED
from scoring.availability import ON_OFFER
from scoring.predicates import Condition, Range

FIELD = "offered_start"
RULE_FIELDS = ("active", "status", "spots")
"""Fields of a document that decide whether it is on offer."""


def offered_start(document: Mapping[str, Any]) -> str:
    """Return the value of the field, given the others of the document."""
    values = tuple(document[name] for name in RULE_FIELDS)
    return str(document["start"]) if _is_on_offer(values) else NOT_OFFERED


@lru_cache(maxsize=4096)
def _is_on_offer(values: tuple[Any, ...]) -> bool:
    # Cached, as the evaluation would take as long as half of making a document.
    document: Any = SimpleNamespace(**dict(zip(RULE_FIELDS, values, strict=True)))
    return ON_OFFER.matches_all([document])[0]


def with_offered_start(conditions: Sequence[Condition]) -> Sequence[Condition]:
    """Return a conjunction that holds for the same departures, with the field in place of what it stands for."""
    starts = next(_ranges_of_starts(conditions), None)
    if starts is None or not all(part in conditions for part in ON_OFFER.conditions):
        return conditions
    rest = [condition for condition in conditions if condition not in (*ON_OFFER.conditions, starts)]
    return [Range(FIELD, starts.low, starts.high), *rest]


def _ranges_of_starts(conditions: Sequence[Condition]) -> Iterator[Range]:
    """Yield ranges that do not reach back to what the field has for departures that are not on offer."""
    for condition in conditions:
        if isinstance(condition, Range) and condition.field == "start" and str(condition.low or "") > NOT_OFFERED:
            yield condition
