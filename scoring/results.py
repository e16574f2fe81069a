"""What an answer says about its results as a whole."""

from collections.abc import Sequence

from scoring import weights
from scoring.explain import Recommendation


def needs_relaxed(primary: Sequence[Recommendation]) -> bool:
    return len(primary) <= weights.RELAXED_WHEN_AT_MOST


def needs_refinement(results: Sequence[Recommendation]) -> bool:
    return not results or results[0].score < weights.THRESHOLDS["HIGH"]


def message(primary: int, relaxed: int) -> str:
    if not primary + relaxed:
        return "No trips match your criteria. Try adjusting your preferences."
    found = f"Found {primary} recommended trips"
    return f"{found} + {relaxed} expanded results" if relaxed else found
