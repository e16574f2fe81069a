"""Score and explanation of the departures that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from schemas.index_document import SearchedFields, TripDocument
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
        """Labels of the rules that apply, without the base score, which applies to all departures."""
        return [line.label for line in self.breakdown if line.rule != BASE]


def score_documents(
    documents: Sequence[TripDocument], rules: Sequence[RuleGroup], *, is_relaxed: bool = False
) -> list[Recommendation]:
    """Score the documents and return, in the same order, those with at least `weights.MIN_SHOWN_SCORE`."""
    recommendations = []
    for document, lines in zip(documents, explain(documents, rules), strict=True):
        score = _clamp(sum([line.points for line in lines]))
        if score >= weights.MIN_SHOWN_SCORE:
            recommendations.append(Recommendation(document, lines, score, is_relaxed))
    return recommendations


def score_all(documents: Sequence[SearchedFields], rules: Sequence[RuleGroup]) -> list[int]:
    """Return the score of each document, without its explanation."""
    points = [0] * len(documents)
    for group in rules:
        _add_points(documents, points, group)
    return [*map(_clamp, points)]


def _add_points(documents: Sequence[SearchedFields], points: list[int], group: RuleGroup) -> None:
    """Add the points of the first rule of the group that holds, if one does, to those of each document."""
    remaining: Sequence[int] = range(len(documents))
    for rule in group:
        holds = rule.condition.matches_all([documents[number] for number in remaining])
        for number in compress(remaining, holds):
            points[number] += rule.points
        remaining = [number for number, held in zip(remaining, holds, strict=True) if not held]


def _clamp(points: int) -> int:
    return min(max(points, weights.LOWEST), weights.HIGHEST)


def explain(documents: Sequence[SearchedFields], rules: Sequence[RuleGroup]) -> list[list[ScoreLine]]:
    """Return for each document the rules that apply to it. Their points sum to its score before clamping to 0..100."""
    breakdowns: list[list[ScoreLine]] = [[] for _ in documents]
    for group in rules:
        _append_lines(documents, breakdowns, group)
    return breakdowns


def _append_lines(documents: Sequence[SearchedFields], breakdowns: list[list[ScoreLine]], group: RuleGroup) -> None:
    """Append the line of the first rule of the group that holds, if one does, to each document's breakdown."""
    for rule in group:
        holds = rule.condition.matches_all(documents)
        for document, lines in compress(zip(documents, breakdowns, strict=True), holds):
            lines.append(rule.explain(document))
        if rule is not group[-1]:
            remaining = [not held for held in holds]
            documents, breakdowns = [*compress(documents, remaining)], [*compress(breakdowns, remaining)]
