"""Render the rules as one Elasticsearch search that ranks exactly as they do.

Elasticsearch accepts no negative weights, so all scores, and the cap, are higher by the sum of the penalties. Whole
numbers of this size are exact in its 32-bit floats.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from scoring import weights
from scoring.point_steps import point_steps
from scoring.predicates import And, Condition, Not
from scoring.rules import RuleGroup
from scoring.simplification import simplify


def build_search(condition: Condition, rules: Sequence[RuleGroup], size: int = weights.RESULTS) -> dict[str, Any]:
    """Return the search body. Equal searches have equal bodies; `hits.total` is the number of candidates."""
    candidates, offset = simplify(condition), score_offset(rules)
    points = point_steps(rules, candidates)
    assert points.constant + offset >= 0, "the points of each group of rules descend"
    query = {
        "query": _candidate_query(candidates),
        "functions": [
            # Costs nothing that could be measured. Without it, a candidate to which no function applies would get 1.
            {"weight": points.constant + offset},
            *({"filter": holds.to_elasticsearch(), "weight": added} for holds, added in points.steps.items()),
        ],
        "score_mode": "sum",
        "boost_mode": "replace",
        "max_boost": weights.HIGHEST + offset,
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


def _candidate_query(candidates: Condition) -> dict[str, Any]:
    parts = candidates.conditions if isinstance(candidates, And) else (candidates,)
    holds = [part.to_elasticsearch() for part in parts if not isinstance(part, Not)]
    excluded = [part.condition.to_elasticsearch() for part in parts if isinstance(part, Not)]
    return {"bool": {"filter": holds, "must_not": excluded}}
