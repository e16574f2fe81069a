"""Conditions on a departure, as data. Each evaluates in Python, and renders to an Elasticsearch query; SQL is rendered
in app/repositories/predicates.py. All three agree.

A condition is true or false for one index document:

    Equals("level", 3)             the field has the value (for a list: contains it)
    In("country", ("18", "33"))    the field has one of the values
    Range("price", None, 100_00)   low <= field <= high; None leaves an end open
    AtLeastN(2, "themes", (...))   the field contains at least 2 of the values
    And, Or, Not, Everything       as usual; And(()) is true, Or(()) is false

A field that is null has no values: no positive condition on it holds. Dates are ISO text and compare as text.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import and_, attrgetter, not_, or_
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from schemas.index_document import SearchedFields

Scalar: TypeAlias = str | int


class Condition(Protocol):
    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        """Return for each document whether the condition holds.

        All documents in one call, because a call per document would cost as much as its comparison.
        """
        ...

    def to_elasticsearch(self) -> dict[str, Any]:
        """Return the condition as an Elasticsearch query for filter context."""
        ...


def _should(minimum: int, queries: list[dict[str, Any]]) -> dict[str, Any]:
    # A bool query without clauses matches everything, whatever its minimum.
    return {"bool": {"should": queries, "minimum_should_match": minimum}} if queries else {"match_none": {}}


def _values(field: str, documents: Sequence[SearchedFields]) -> Iterable[Any]:
    return map(attrgetter(field), documents)


def _fold(
    operator: Callable[[bool, bool], bool],
    conditions: Iterable[Condition],
    documents: Sequence[SearchedFields],
    *,
    initial: bool,
) -> list[bool]:
    results = [initial] * len(documents)
    for condition in conditions:
        results = [*map(operator, results, condition.matches_all(documents))]
    return results


def must_not(queries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"must_not": queries}}


class Equals(Struct, frozen=True, cache_hash=True):
    field: str
    value: Scalar

    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        wanted = self.value
        return [
            value == wanted or (isinstance(value, list) and wanted in value) for value in _values(self.field, documents)
        ]

    def to_elasticsearch(self) -> dict[str, Any]:
        return {"term": {self.field: self.value}}


class In(Struct, frozen=True, cache_hash=True):
    field: str
    values: tuple[Scalar, ...]

    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        wanted = {*self.values}
        return [
            not wanted.isdisjoint(value) if isinstance(value, list) else value in wanted
            for value in _values(self.field, documents)
        ]

    def to_elasticsearch(self) -> dict[str, Any]:
        return {"terms": {self.field: list(self.values)}}


class Range(Struct, frozen=True, cache_hash=True):
    """For fields with one value. Both ends are included; None leaves an end open."""

    field: str
    low: Scalar | None
    high: Scalar | None

    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        low, high = self.low, self.high
        return [
            value is not None and (low is None or low <= value) and (high is None or value <= high)
            for value in _values(self.field, documents)
        ]

    def to_elasticsearch(self) -> dict[str, Any]:
        ends = {"gte": self.low, "lte": self.high}
        return {"range": {self.field: {end: value for end, value in ends.items() if value is not None}}}


class AtLeastN(Struct, frozen=True, cache_hash=True):
    """The field contains at least `count` of the values, which are distinct."""

    count: int
    field: str
    values: tuple[Scalar, ...]

    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        wanted, count = {*self.values}, self.count
        return [
            len(wanted.intersection(value if isinstance(value, list) else (value,))) >= count
            for value in _values(self.field, documents)
        ]

    def to_elasticsearch(self) -> dict[str, Any]:
        return _should(self.count, [Equals(self.field, value).to_elasticsearch() for value in self.values])


class And(Struct, frozen=True, cache_hash=True):
    conditions: tuple[Condition, ...]

    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        return _fold(and_, self.conditions, documents, initial=True)

    def to_elasticsearch(self) -> dict[str, Any]:
        return {"bool": {"filter": [condition.to_elasticsearch() for condition in self.conditions]}}


class Or(Struct, frozen=True, cache_hash=True):
    conditions: tuple[Condition, ...]

    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        return _fold(or_, self.conditions, documents, initial=False)

    def to_elasticsearch(self) -> dict[str, Any]:
        return _should(1, [condition.to_elasticsearch() for condition in self.conditions])


class Not(Struct, frozen=True, cache_hash=True):
    condition: Condition

    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        return [*map(not_, self.condition.matches_all(documents))]

    def to_elasticsearch(self) -> dict[str, Any]:
        return must_not([self.condition.to_elasticsearch()])


class Everything(Struct, frozen=True, cache_hash=True):
    def matches_all(self, documents: Sequence[SearchedFields]) -> list[bool]:
        return [True] * len(documents)

    def to_elasticsearch(self) -> dict[str, Any]:
        return {"match_all": {}}


ALWAYS = Everything()
