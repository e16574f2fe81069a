"""Decisions and texts about a list of results as a whole."""

from collections.abc import Sequence

from scoring import weights
from scoring.explain import Recommendation


def needs_relaxed_search(primary: Sequence[Recommendation]) -> bool:
    return len(primary) <= weights.RELAX_AT_MOST


def show_refinement(results: Sequence[Recommendation]) -> bool:
    return not results or results[0].score < weights.THRESHOLDS["HIGH"]


def summary_message(primary: int, relaxed: int) -> str:
    if not primary + relaxed:
        return "No trips match your criteria. Try adjusting your preferences."
    found = f"Found {primary} recommended trips"
    return f"{found} + {relaxed} expanded results" if relaxed else found
