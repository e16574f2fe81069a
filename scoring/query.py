"""The rules as one Elasticsearch search, so that it ranks exactly as they do.

Elasticsearch takes no negative weight: a penalty becomes a bonus for all the trips that it does not hit.
Every score is higher by the sum of the penalties then, and so is the cap; whole numbers of this size are
exact in its 32-bit floats.
"""

from collections.abc import Sequence
from typing import Any

from scoring import weights
from scoring.conditions import Condition, Not
from scoring.rules import Rule


def search_body(condition: Condition, rules: Sequence[Rule], size: int = weights.RESULTS) -> dict[str, Any]:
    """Equal searches have equal bodies. `hits.total` is the number of candidates."""
    query = {
        "query": {"bool": {"filter": [condition.filter()]}},
        "functions": [_function(rule) for rule in rules],
        "score_mode": "sum",
        "boost_mode": "replace",
        "max_boost": weights.HIGHEST + offset(rules),
    }
    return {
        "query": {"function_score": query},
        "sort": [{"_score": "desc"}, {"start": "asc"}, {"id": "asc"}],
        "size": size,
        "track_total_hits": True,
    }


def offset(rules: Sequence[Rule]) -> int:
    """By how much Elasticsearch's score is higher than the rules'."""
    return -sum(rule.points for rule in rules if rule.points < 0)


def _function(rule: Rule) -> dict[str, Any]:
    counts = rule.condition if rule.points >= 0 else Not(rule.condition)
    return {"filter": counts.filter(), "weight": abs(rule.points)}
