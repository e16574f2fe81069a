"""Render the rules as one Elasticsearch search that ranks exactly as they do.

Elasticsearch accepts no negative weights: a penalty becomes a bonus for all departures that it does not apply to.
All scores, and the cap, are then higher by the sum of the penalties. Whole numbers of this size are exact in its
32-bit floats.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from scoring import weights
from scoring.predicates import Condition, must_not
from scoring.rules import RuleGroup


def build_search(condition: Condition, rules: Sequence[RuleGroup], size: int = weights.RESULTS) -> dict[str, Any]:
    """Return the search body. Equal searches have equal bodies; `hits.total` is the number of candidates."""
    query = {
        "query": {"bool": {"filter": [condition.to_elasticsearch()]}},
        "functions": [function for group in rules for function in _functions(group)],
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
    """Return by how much Elasticsearch's scores are higher than those of the rules: the sum of all penalties."""
    return -sum(rule.points for rule in chain.from_iterable(rules) if rule.points < 0)


def _functions(group: RuleGroup) -> Iterator[dict[str, Any]]:
    """Yield a score function for each rule; it applies where the rule holds and no earlier rule of its group does."""
    earlier: list[dict[str, Any]] = []
    for rule in group:
        holds = rule.condition.to_elasticsearch()
        applies = {"bool": {"filter": [holds], "must_not": [*earlier]}} if earlier else holds
        earlier.append(holds)
        yield {"filter": applies if rule.points >= 0 else must_not([applies]), "weight": abs(rule.points)}
