"""The rules as one Elasticsearch search, so that it ranks exactly as they do.

Elasticsearch takes no negative weight: a penalty becomes a bonus for all the trips that it does not hit.
Every score is higher by the sum of the penalties then, and so is the cap; whole numbers of this size are
exact in its 32-bit floats.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from scoring import weights
from scoring.predicates import Condition, none_of
from scoring.rules import RuleGroup


def build_search(condition: Condition, rules: Sequence[RuleGroup], size: int = weights.RESULTS) -> dict[str, Any]:
    """Equal searches have equal bodies. `hits.total` is the number of candidates."""
    query = {
        "query": {"bool": {"filter": [condition.filter()]}},
        "functions": [function for alternatives in rules for function in _functions(alternatives)],
        "score_mode": "sum",
        "boost_mode": "replace",
        "max_boost": weights.HIGHEST + score_offset(rules),
    }
    return {
        "query": {"function_score": query},
        "sort": [{"_score": "desc"}, {"start": "asc"}, {"id": "asc"}],
        "size": size,
        "track_total_hits": True,
    }


def score_offset(rules: Sequence[RuleGroup]) -> int:
    """By how much Elasticsearch's score is higher than the rules'."""
    return -sum(rule.points for rule in chain.from_iterable(rules) if rule.points < 0)


def _functions(alternatives: RuleGroup) -> Iterator[dict[str, Any]]:
    """Each rule counts where it holds and none of those before it does."""
    earlier: list[dict[str, Any]] = []
    for rule in alternatives:
        holds = rule.condition.filter()
        counts = {"bool": {"filter": [holds], "must_not": [*earlier]}} if earlier else holds
        earlier.append(holds)
        yield {"filter": counts if rule.points >= 0 else none_of([counts]), "weight": abs(rule.points)}
