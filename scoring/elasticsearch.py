"""Render the rules as one Elasticsearch search that ranks exactly as they do.

Elasticsearch accepts no negative weights, so all scores, and the cap, are higher by the sum of the penalties. Whole
numbers of this size are exact in its 32-bit floats.

Candidates that cannot reach the score that is looked for get 0 instead of their points. They are counted; to evaluate
their points, too, would be half of what a search costs.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from scoring import weights
from scoring.offered_start import with_offered_start
from scoring.point_steps import PointSteps, point_steps
from scoring.predicates import ALWAYS, And, Condition, Not
from scoring.rules import RuleGroup
from scoring.score_requirements import requirements
from scoring.simplification import simplify


def build_search(
    condition: Condition, rules: Sequence[RuleGroup], size: int = weights.RESULTS, least: int = weights.MIN_SHOWN_SCORE
) -> dict[str, Any]:
    """Return the search body. Equal searches have equal bodies; `hits.total` is the number of candidates.

    Hits of at least the score `least` are complete and in order; those after them may be any other candidates.
    """
    candidates, offset = simplify(condition), score_offset(rules)
    points = point_steps(rules, candidates)
    assert points.constant + offset >= 0, "the points of each group of rules descend"
    needed = requirements(points, least)
    # What is required of any departure that is shown would exclude too few.
    if needed.conditions and least > weights.MIN_SHOWN_SCORE:
        scored = _score(_filter_query(needed.conditions), needed.points, offset)
        query = _candidates_query(candidates, scored)
    else:
        query = _score(_candidates_query(candidates), points, offset)
    return {
        "query": query,
        "sort": [{"_score": "desc"}, {"start": "asc"}, {"id": "asc"}],
        "size": size,
        "track_total_hits": True,
    }


def score_offset(rules: Sequence[RuleGroup]) -> int:
    """Return by how much Elasticsearch's scores are higher than those of the rules: the sum of all penalties."""
    return -sum(rule.points for rule in chain.from_iterable(rules) if rule.points < 0)


def _score(query: dict[str, Any], points: PointSteps, offset: int) -> dict[str, Any]:
    """Return a query for the same departures whose scores are their points."""
    return {
        "function_score": {
            "query": query,
            "functions": [
                # Costs nothing that could be measured. Without it, departures to which no function applies would get 1.
                {"weight": points.constant + offset},
                *({"filter": holds.to_elasticsearch(), "weight": added} for holds, added in points.steps.items()),
            ],
            "score_mode": "sum",
            "boost_mode": "replace",
            "max_boost": weights.HIGHEST + offset,
        }
    }


def _candidates_query(condition: Condition, *scored: dict[str, Any]) -> dict[str, Any]:
    conjuncts = condition.conditions if isinstance(condition, And) else (condition,)
    return _filter_query(with_offered_start(conjuncts), *scored)


def _filter_query(conditions: Sequence[Condition], *scored: dict[str, Any]) -> dict[str, Any]:
    """Return a query for the departures that meet all conditions; their score is that of `scored` where it matches."""
    holds = [condition.to_elasticsearch() for condition in conditions if not isinstance(condition, Not)]
    excluded = [condition.condition.to_elasticsearch() for condition in conditions if isinstance(condition, Not)]
    # A query of optional clauses only would demand one of them.
    clauses = {"filter": holds or [ALWAYS.to_elasticsearch()], "must_not": excluded}
    return {"bool": {**clauses, "should": [*scored]} if scored else clauses}
