"""Points and explanation of the few departures that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from schemas.index_document import TripDocument
from scoring import weights
from scoring.rules import BASE, RuleGroup, ScoreLine


@dataclass(slots=True)
class Recommendation:
    document: TripDocument
    breakdown: Sequence[ScoreLine]
    score: int
    is_relaxed: bool

    @property
    def labels(self) -> list[str]:
        """What speaks for and against it beyond the base score that all have."""
        return [line.label for line in self.breakdown if line.rule != BASE]


def score_documents(
    documents: Sequence[TripDocument], rules: Sequence[RuleGroup], *, is_relaxed: bool = False
) -> list[Recommendation]:
    """Of ranked departures those that are good enough to be shown, in the order given."""
    recommendations = []
    for document, lines in zip(documents, breakdowns(documents, rules), strict=True):
        score = min(max(sum([line.points for line in lines]), weights.LOWEST), weights.HIGHEST)
        if score >= weights.MIN_SHOWN_SCORE:
            recommendations.append(Recommendation(document, lines, score, is_relaxed))
    return recommendations


def breakdowns(documents: Sequence[TripDocument], rules: Sequence[RuleGroup]) -> list[list[ScoreLine]]:
    """For each departure what adds up to its score before that is cut to 0..100."""
    breakdowns: list[list[ScoreLine]] = [[] for _ in documents]
    for alternatives in rules:
        _explain(documents, breakdowns, alternatives)
    return breakdowns


def _explain(documents: Sequence[TripDocument], breakdowns: list[list[ScoreLine]], alternatives: RuleGroup) -> None:
    for rule in alternatives:
        holds = rule.condition.matches(documents)
        for document, lines in compress(zip(documents, breakdowns, strict=True), holds):
            lines.append(rule.explain(document))
        if rule is not alternatives[-1]:
            left = [not held for held in holds]
            documents, breakdowns = [*compress(documents, left)], [*compress(breakdowns, left)]
