"""Score and explanation of the departures that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from schemas.index_document import SearchedFields, TripDocument
from scoring import weights
from scoring.rules import BASE, Rule, RuleGroup, ScoreLine


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
    applying = [_first_rules(documents, group) for group in rules]
    return [
        _clamp(sum([rule.points for rule in each if rule is not None]))
        for _, *each in zip(documents, *applying, strict=True)
    ]


def _clamp(points: int) -> int:
    return min(max(points, weights.LOWEST), weights.HIGHEST)


def explain(documents: Sequence[SearchedFields], rules: Sequence[RuleGroup]) -> list[list[ScoreLine]]:
    """Return for each document the rules that apply to it. Their points sum to its score before clamping to 0..100."""
    applying = [_first_rules(documents, group) for group in rules]
    return [
        # Most lines are constant; they need no call.
        [rule.constant_line or rule.explain(document) for rule in each if rule is not None]
        for document, *each in zip(documents, *applying, strict=True)
    ]


def _first_rules(documents: Sequence[SearchedFields], group: RuleGroup) -> list[Rule | None]:
    """Return for each document the first rule of the group that holds."""
    first, *others = group
    found: list[Rule | None] = [first if held else None for held in first.condition.matches_all(documents)]
    for rule in others:
        remaining = [number for number, earlier in enumerate(found) if earlier is None]
        if not remaining:
            break
        holds = rule.condition.matches_all([documents[number] for number in remaining])
        for number in compress(remaining, holds):
            found[number] = rule
    return found
