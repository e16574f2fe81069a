"""A small algebra of conditions on a trip: plain data that is true or false in Python and in Elasticsearch alike.

A field that is null has no values: no positive condition on it holds. Dates are ISO text and compare as text.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import and_, attrgetter, not_, or_
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from schemas.index_document import TripDocument

Scalar: TypeAlias = str | int


class Condition(Protocol):
    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        """For each whether it holds. All at once, since calls would cost as much as the comparisons."""
        ...

    def filter(self) -> dict[str, Any]:
        """The same as an Elasticsearch query for filter context."""
        ...


def _at_least(count: int, filters: list[dict[str, Any]]) -> dict[str, Any]:
    # A bool query without clauses matches everything, whatever its minimum.
    return {"bool": {"should": filters, "minimum_should_match": count}} if filters else {"match_none": {}}


def _values(field: str, documents: Sequence[TripDocument]) -> Iterable[Any]:
    return map(attrgetter(field), documents)


def _joined(
    join: Callable[[bool, bool], bool],
    conditions: Iterable[Condition],
    documents: Sequence[TripDocument],
    *,
    of_none: bool,
) -> list[bool]:
    held = [of_none] * len(documents)
    for condition in conditions:
        held = [*map(join, held, condition.matches(documents))]
    return held


def none_of(filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"must_not": filters}}


class Equals(Struct, frozen=True):
    field: str
    value: Scalar

    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        wanted = self.value
        return [
            value == wanted or (isinstance(value, list) and wanted in value) for value in _values(self.field, documents)
        ]

    def filter(self) -> dict[str, Any]:
        return {"term": {self.field: self.value}}


class In(Struct, frozen=True):
    field: str
    values: tuple[Scalar, ...]

    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        wanted = {*self.values}
        return [
            not wanted.isdisjoint(value) if isinstance(value, list) else value in wanted
            for value in _values(self.field, documents)
        ]

    def filter(self) -> dict[str, Any]:
        return {"terms": {self.field: list(self.values)}}


class Range(Struct, frozen=True):
    """Of a field with one value. Both ends belong to it; None leaves an end open."""

    field: str
    low: Scalar | None
    high: Scalar | None

    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        low, high = self.low, self.high
        return [
            value is not None and (low is None or low <= value) and (high is None or value <= high)
            for value in _values(self.field, documents)
        ]

    def filter(self) -> dict[str, Any]:
        ends = {"gte": self.low, "lte": self.high}
        return {"range": {self.field: {end: value for end, value in ends.items() if value is not None}}}


class AtLeastN(Struct, frozen=True):
    """So many of these different values are among the field's."""

    count: int
    field: str
    values: tuple[Scalar, ...]

    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        wanted, count = {*self.values}, self.count
        return [
            len(wanted.intersection(value if isinstance(value, list) else (value,))) >= count
            for value in _values(self.field, documents)
        ]

    def filter(self) -> dict[str, Any]:
        return _at_least(self.count, [Equals(self.field, value).filter() for value in self.values])


class And(Struct, frozen=True):
    conditions: tuple[Condition, ...]

    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        return _joined(and_, self.conditions, documents, of_none=True)

    def filter(self) -> dict[str, Any]:
        return {"bool": {"filter": [condition.filter() for condition in self.conditions]}}


class Or(Struct, frozen=True):
    conditions: tuple[Condition, ...]

    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        return _joined(or_, self.conditions, documents, of_none=False)

    def filter(self) -> dict[str, Any]:
        return _at_least(1, [condition.filter() for condition in self.conditions])


class Not(Struct, frozen=True):
    condition: Condition

    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        return [*map(not_, self.condition.matches(documents))]

    def filter(self) -> dict[str, Any]:
        return none_of([self.condition.filter()])


class Everything(Struct, frozen=True):
    def matches(self, documents: Sequence[TripDocument]) -> list[bool]:
        return [True] * len(documents)

    def filter(self) -> dict[str, Any]:
        return {"match_all": {}}


ALWAYS = Everything()
