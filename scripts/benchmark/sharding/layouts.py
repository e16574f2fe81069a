"""Layouts of the departures in indexes, and which of them a search has to ask."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scoring.predicates import And, Condition, Equals, In, Or, Range


class Part(NamedTuple):
    """The departures of a year of start and a continent, which all layouts keep together."""

    year: int
    continent: str | None
    """Display name; None if the template has no country."""


Parts = frozenset[Part]


@dataclass(frozen=True)
class Layout:
    name: str
    key: Callable[[Part], str]
    """Returns the name of the index that has the part."""
    shards: int = 1
    """Of each index."""

    def indexes(self, parts: Parts) -> dict[str, Parts]:
        """Return the parts of each index, by its name."""
        names = sorted({self.key(part) for part in parts})
        return {name: frozenset(part for part in parts if self.key(part) == name) for name in names}

    def targets(self, condition: Condition, parts: Parts, continents: Mapping[str, str]) -> list[str]:
        """Return the names of the indexes that can have departures for which the condition holds, or else one.

        `continents` has the continent of each country, by its id as text.
        """
        names = sorted({self.key(part) for part in possible_parts(condition, parts, continents)})
        return names or [self.key(min(parts, key=str))]


def _continent_key(part: Part) -> str:
    return (part.continent or "none").lower().replace(" & ", "-").replace(" ", "-")


ONE_SHARD = Layout("one index, 1 shard", lambda part: "all")
LAYOUTS = (
    ONE_SHARD,
    Layout("one index, 2 shards", lambda part: "all", shards=2),
    Layout("an index per year of start", lambda part: str(part.year)),
    Layout("an index per continent", _continent_key),
)


def possible_parts(condition: Condition, parts: Parts, continents: Mapping[str, str]) -> Parts:
    """Return the parts that can have departures for which the condition holds."""
    if isinstance(condition, And | Or):
        of_each = [possible_parts(each, parts, continents) for each in condition.conditions]
        return parts.intersection(*of_each) if isinstance(condition, And) else frozenset().union(*of_each)
    if isinstance(condition, Range) and condition.field == "start":
        low, high = _year(condition.low, -1), _year(condition.high, 10_000)
        return frozenset(part for part in parts if low <= part.year <= high)
    if isinstance(condition, In | Equals) and condition.field in {"continent", "country"}:
        values = condition.values if isinstance(condition, In) else (condition.value,)
        reached = {continents.get(str(value)) if condition.field == "country" else value for value in values}
        return frozenset(part for part in parts if part.continent is not None and part.continent in reached)
    return parts


def _year(day: str | int | None, default: int) -> int:
    return default if day is None else int(str(day)[:4])
