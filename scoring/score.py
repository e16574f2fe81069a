"""Points and explanation of the few departures that are shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.document import TripDocument
from scoring import weights
from scoring.rules import BASE, Line, Rule


@dataclass(slots=True)
class Recommendation:
    document: TripDocument
    breakdown: Sequence[Line]
    score: int
    is_relaxed: bool

    @property
    def labels(self) -> list[str]:
        """What speaks for and against it beyond the base score that all have."""
        return [line.label for line in self.breakdown if line.rule != BASE]


def recommend(
    documents: Iterable[TripDocument], rules: Sequence[Rule], *, is_relaxed: bool = False
) -> list[Recommendation]:
    """Of ranked departures those that are good enough to be shown, in the order given."""
    recommendations = []
    for document in documents:
        lines = breakdown(document, rules)
        score = min(max(sum([line.points for line in lines]), weights.LOWEST), weights.HIGHEST)
        if score >= weights.FLOOR:
            recommendations.append(Recommendation(document, lines, score, is_relaxed))
    return recommendations


def breakdown(document: TripDocument, rules: Sequence[Rule]) -> list[Line]:
    """Adds up to the score before it is cut to 0..100."""
    return [rule.line(document) for rule in rules if rule.condition.matches(document)]
