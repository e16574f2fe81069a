"""Points and explanation of the few departures that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from schemas.index_document import TripDocument
from scoring import weights
from scoring.rules import BASE, Alternatives, Line


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
    documents: Sequence[TripDocument], rules: Sequence[Alternatives], *, is_relaxed: bool = False
) -> list[Recommendation]:
    """Of ranked departures those that are good enough to be shown, in the order given."""
    recommendations = []
    for document, lines in zip(documents, breakdowns(documents, rules), strict=True):
        score = min(max(sum([line.points for line in lines]), weights.LOWEST), weights.HIGHEST)
        if score >= weights.FLOOR:
            recommendations.append(Recommendation(document, lines, score, is_relaxed))
    return recommendations


def breakdowns(documents: Sequence[TripDocument], rules: Sequence[Alternatives]) -> list[list[Line]]:
    """For each departure what adds up to its score before that is cut to 0..100."""
    breakdowns: list[list[Line]] = [[] for _ in documents]
    for alternatives in rules:
        _explain(documents, breakdowns, alternatives)
    return breakdowns


def _explain(documents: Sequence[TripDocument], breakdowns: list[list[Line]], alternatives: Alternatives) -> None:
    for rule in alternatives:
        holds = rule.condition.matches(documents)
        for document, lines in compress(zip(documents, breakdowns, strict=True), holds):
            lines.append(rule.line(document))
        if rule is not alternatives[-1]:
            left = [not held for held in holds]
            documents, breakdowns = [*compress(documents, left)], [*compress(breakdowns, left)]
