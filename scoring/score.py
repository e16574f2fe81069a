"""Points and explanation of the few departures that are shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.document import TripDocument
from scoring import weights
from scoring.rules import BASE, Rule


@dataclass(frozen=True)
class Line:
    """One rule that applies to a departure."""

    rule: str
    points: int
    label: str


@dataclass(frozen=True)
class Recommendation:
    document: TripDocument
    breakdown: tuple[Line, ...]
    is_relaxed: bool

    @property
    def score(self) -> int:
        total = sum(line.points for line in self.breakdown)
        return min(max(total, weights.LOWEST), weights.HIGHEST)

    @property
    def labels(self) -> list[str]:
        """What speaks for and against it beyond the base score that all have."""
        return [line.label for line in self.breakdown if line.rule != BASE]


def recommend(
    documents: Iterable[TripDocument], rules: Sequence[Rule], *, is_relaxed: bool = False
) -> list[Recommendation]:
    """Of ranked departures those that are good enough to be shown, in the order given."""
    scored = (Recommendation(document, breakdown(document, rules), is_relaxed) for document in documents)
    return [recommendation for recommendation in scored if recommendation.score >= weights.FLOOR]


def breakdown(document: TripDocument, rules: Sequence[Rule]) -> tuple[Line, ...]:
    """Adds up to the score before it is cut to 0..100."""
    applying = (rule for rule in rules if rule.condition.matches(document))
    return tuple(Line(rule.name, rule.points, rule.label(document)) for rule in applying)
