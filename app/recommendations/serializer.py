"""The answer's bytes. Each trip's JSON comes from the index as text and is spliced in without being parsed."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.json import Encoder

from app.recommendations.engine import RankedResults
from schemas.api.preferences import Preferences
from scoring import results, weights
from scoring.explain import Recommendation
from scoring.rules import ScoreLine

API_VERSION = "v2"


class TripExtras(Struct):
    """What a trip's JSON gets added."""

    match_score: int
    match_details: Sequence[str]
    is_relaxed: bool
    score_breakdown: Sequence[ScoreLine]


encode = Encoder().encode


def serialize_response(found: RankedResults, preferences: Preferences, total_trips: int, *, degraded: bool) -> bytes:
    """The JSON object without its closing brace; `request_id` is still to come."""
    shown, primary, relaxed = found.all, len(found.primary), len(found.relaxed)
    envelope: dict[str, Any] = {
        "success": True,
        "count": len(shown),
        "primary_count": primary,
        "relaxed_count": relaxed,
        "total_candidates": found.total_candidates,
        "total_trips": found.total_candidates,
        "total_trips_in_db": total_trips,
        "has_relaxed_results": relaxed > 0,
        "score_thresholds": weights.THRESHOLDS,
        "show_refinement_message": results.show_refinement(shown),
        "search_type": preferences.search_type,
        "api_version": API_VERSION,
        "message": results.summary_message(primary, relaxed),
    }
    if degraded:
        envelope["degraded"] = True
    return b"".join((encode(envelope)[:-1], b',"data":[', *_trips(shown), b"]"))


def _trips(results: Iterable[Recommendation]) -> Iterator[bytes | memoryview]:
    between = b""
    for result in results:
        explained = TripExtras(result.score, result.labels, result.is_relaxed, result.breakdown)
        yield between
        yield memoryview(result.document.trip)[:-1]
        yield b","
        yield memoryview(encode(explained))[1:]
        between = b","
