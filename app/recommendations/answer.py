"""The answer's bytes. Each trip's JSON comes from the index as text and is spliced in without being parsed."""

from collections.abc import Iterable
from typing import Any

import orjson

from app.recommendations.recommender import Recommendations
from schemas.preferences import Preferences
from scoring import answer, weights
from scoring.score import Recommendation

API_VERSION = "v2"


def answer_text(found: Recommendations, preferences: Preferences, total_trips: int, *, degraded: bool) -> bytes:
    """The JSON object without its closing brace; `request_id` is still to come."""
    results, primary, relaxed = found.all, len(found.primary), len(found.relaxed)
    envelope: dict[str, Any] = {
        "success": True,
        "count": len(results),
        "primary_count": primary,
        "relaxed_count": relaxed,
        "total_candidates": found.total_candidates,
        "total_trips": found.total_candidates,
        "total_trips_in_db": total_trips,
        "has_relaxed_results": relaxed > 0,
        "score_thresholds": weights.THRESHOLDS,
        "show_refinement_message": answer.needs_refinement(results),
        "search_type": preferences.search_type,
        "api_version": API_VERSION,
        "message": answer.message(primary, relaxed),
    }
    if degraded:
        envelope["degraded"] = True
    return b'%b,"data":[%b]' % (orjson.dumps(envelope)[:-1], b",".join(_trips(results)))


def _trips(results: Iterable[Recommendation]) -> Iterable[bytes]:
    for result in results:
        extras = {
            "match_score": result.score,
            "match_details": result.labels,
            "is_relaxed": result.is_relaxed,
            "score_breakdown": result.breakdown,
        }
        yield b",".join((memoryview(result.document.trip)[:-1], orjson.dumps(extras)[1:]))
