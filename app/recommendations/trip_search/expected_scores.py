"""The score that the last departure of a list is expected to have, learned from searches of the same kind.

Elasticsearch then evaluates the points of those candidates only that can reach it. Whoever expects too much has to
search once more, so the lowest of the recent scores is expected: those of a kind hardly differ where there are many
candidates, and only there a search costs much.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from itertools import chain
from typing import TypeAlias

from scoring.predicates import And, Condition
from scoring.rules import RuleGroup
from scoring.weights import MIN_SHOWN_SCORE

MAX_KINDS = 500
RECENT = 16
"""Searches of a kind whose scores are remembered. The next of them is below all others at most once in 17 times."""
MIN_RECENT = 4

SearchKind: TypeAlias = Hashable


def search_kind(condition: Condition, rules: Sequence[RuleGroup], size: int) -> SearchKind:
    """Return what searches that list departures of similar scores have in common: fields of conditions, and points."""
    parts = condition.conditions if isinstance(condition, And) else (condition,)
    fields = tuple([getattr(part, "field", None) for part in parts])
    return fields, tuple([rule.points for rule in chain.from_iterable(rules)]), size


class ExpectedScores:
    def __init__(self) -> None:
        self._recent: OrderedDict[SearchKind, deque[int]] = OrderedDict()

    def lowest(self, kind: SearchKind) -> int:
        """Return the lowest of the recent scores of the kind; MIN_SHOWN_SCORE if there are too few."""
        recent = self._recent.get(kind, ())
        return MIN_SHOWN_SCORE if len(recent) < MIN_RECENT else min(recent)

    def add(self, kind: SearchKind, score: int) -> None:
        recent = self._recent.setdefault(kind, deque(maxlen=RECENT))
        recent.append(max(score, MIN_SHOWN_SCORE))
        self._recent.move_to_end(kind)
        if len(self._recent) > MAX_KINDS:
            self._recent.popitem(last=False)
