"""A small algebra of conditions on a trip: plain data that is true or false in Python and in Elasticsearch alike.

A field that is null has no values: no positive condition on it holds. Dates are ISO text and compare as text.
"""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from schemas.document import TripDocument

Scalar: TypeAlias = str | int


class Condition(Protocol):
    def matches(self, document: TripDocument) -> bool: ...

    def filter(self) -> dict[str, Any]:
        """The same as an Elasticsearch query for filter context."""
        ...


def _at_least(count: int, filters: list[dict[str, Any]]) -> dict[str, Any]:
    # A bool query without clauses matches everything, whatever its minimum.
    return {"bool": {"should": filters, "minimum_should_match": count}} if filters else {"match_none": {}}


@dataclass(frozen=True)
class Is:
    field: str
    value: Scalar

    def matches(self, document: TripDocument) -> bool:
        value = getattr(document, self.field)
        return value == self.value or (isinstance(value, list) and self.value in value)

    def filter(self) -> dict[str, Any]:
        return {"term": {self.field: self.value}}


@dataclass(frozen=True)
class OneOf:
    field: str
    values: tuple[Scalar, ...]

    def matches(self, document: TripDocument) -> bool:
        value = getattr(document, self.field)
        return any(one in self.values for one in value) if isinstance(value, list) else value in self.values

    def filter(self) -> dict[str, Any]:
        return {"terms": {self.field: list(self.values)}}


@dataclass(frozen=True)
class Between:
    """Both ends belong to it; None leaves an end open."""

    field: str
    low: Scalar | None
    high: Scalar | None

    def matches(self, document: TripDocument) -> bool:
        value: Any = getattr(document, self.field)
        low, high = self.low, self.high
        if isinstance(value, list):
            return any((low is None or low <= one) and (high is None or one <= high) for one in value)
        return value is not None and (low is None or low <= value) and (high is None or value <= high)

    def filter(self) -> dict[str, Any]:
        ends = {"gte": self.low, "lte": self.high}
        return {"range": {self.field: {end: value for end, value in ends.items() if value is not None}}}


@dataclass(frozen=True)
class AtLeast:
    """So many of these different values are among the field's."""

    count: int
    field: str
    values: tuple[Scalar, ...]

    def matches(self, document: TripDocument) -> bool:
        value = getattr(document, self.field)
        return len(set(self.values).intersection(value if isinstance(value, list) else (value,))) >= self.count

    def filter(self) -> dict[str, Any]:
        return _at_least(self.count, [Is(self.field, value).filter() for value in self.values])


@dataclass(frozen=True)
class AllOf:
    conditions: tuple[Condition, ...]

    def matches(self, document: TripDocument) -> bool:
        for condition in self.conditions:  # noqa: SIM110 -- twice as fast as a generator, and asked for every trip
            if not condition.matches(document):
                return False
        return True

    def filter(self) -> dict[str, Any]:
        return {"bool": {"filter": [condition.filter() for condition in self.conditions]}}


@dataclass(frozen=True)
class AnyOf:
    conditions: tuple[Condition, ...]

    def matches(self, document: TripDocument) -> bool:
        for condition in self.conditions:  # noqa: SIM110
            if condition.matches(document):
                return True
        return False

    def filter(self) -> dict[str, Any]:
        return _at_least(1, [condition.filter() for condition in self.conditions])


@dataclass(frozen=True)
class Not:
    condition: Condition

    def matches(self, document: TripDocument) -> bool:
        return not self.condition.matches(document)

    def filter(self) -> dict[str, Any]:
        return {"bool": {"must_not": [self.condition.filter()]}}


@dataclass(frozen=True)
class Always:
    def matches(self, _document: TripDocument) -> bool:
        return True

    def filter(self) -> dict[str, Any]:
        return {"match_all": {}}


ALWAYS = Always()
