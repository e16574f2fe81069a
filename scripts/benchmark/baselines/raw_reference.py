"""The search that the service is compared with: one nested function score, and 30 hits with their documents.

It stays as it is, whatever the service sends meanwhile: a comparison with something that changes says nothing about
what a change of the service gave.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from scoring import weights
from scoring.predicates import Condition, must_not
from scoring.rules import RuleGroup


def reference_search(condition: Condition, rules: Sequence[RuleGroup], size: int) -> dict[str, Any]:
    """Return the search body, whose scores are higher than those of the rules by the sum of the penalties."""
    penalties = -sum(rule.points for rule in chain.from_iterable(rules) if rule.points < 0)
    query = {
        "query": {"bool": {"filter": [condition.to_elasticsearch()]}},
        "functions": [function for group in rules for function in _functions(group)],
        "score_mode": "sum",
        "boost_mode": "replace",
        "max_boost": weights.HIGHEST + penalties,
    }
    return {
        "query": {"function_score": query},
        "sort": [{"_score": "desc"}, {"start": "asc"}, {"id": "asc"}],
        "size": size,
        "track_total_hits": True,
    }


def _functions(group: RuleGroup) -> Iterator[dict[str, Any]]:
    """Yield a score function for each rule; it applies where the rule holds and no earlier rule of its group does."""
    earlier: list[dict[str, Any]] = []
    for rule in group:
        holds = rule.condition.to_elasticsearch()
        applies = {"bool": {"filter": [holds], "must_not": [*earlier]}} if earlier else holds
        earlier.append(holds)
        yield {"filter": applies if rule.points >= 0 else must_not([applies]), "weight": abs(rule.points)}
