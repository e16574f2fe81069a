"""Serialize responses. Each trip's JSON comes from the index as text and is copied without parsing it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.json import Encoder

from app.recommendations.engine import RankedResults
from schemas.api.preferences import Preferences
from scoring import weights
from scoring.explain import Recommendation
from scoring.results import show_refinement, summary_message
from scoring.rules import ScoreLine

API_VERSION = "v2"


class TripExtras(Struct):
    """Fields that are added to a trip's JSON."""

    match_score: int
    match_details: Sequence[str]
    is_relaxed: bool
    score_breakdown: Sequence[ScoreLine]


encode = Encoder().encode


def serialize_response(results: RankedResults, preferences: Preferences, total_trips: int, *, degraded: bool) -> bytes:
    """Return the JSON object without its closing brace, since `request_id` is appended per response."""
    shown, primary, relaxed = results.all, len(results.primary), len(results.relaxed)
    envelope: dict[str, Any] = {
        "success": True,
        "count": len(shown),
        "primary_count": primary,
        "relaxed_count": relaxed,
        "total_candidates": results.total_candidates,
        "total_trips": results.total_candidates,
        "total_trips_in_db": total_trips,
        "has_relaxed_results": relaxed > 0,
        "score_thresholds": weights.THRESHOLDS,
        "show_refinement_message": show_refinement(shown),
        "search_type": preferences.search_type,
        "api_version": API_VERSION,
        "message": summary_message(primary, relaxed),
    }
    if degraded:
        envelope["degraded"] = True
    return b"".join((encode(envelope)[:-1], b',"data":[', *_trips(shown), b"]"))


def _trips(results: Iterable[Recommendation]) -> Iterator[bytes | memoryview]:
    separator = b""
    for result in results:
        explained = TripExtras(result.score, result.labels, result.is_relaxed, result.breakdown)
        yield separator
        yield memoryview(result.document.trip)[:-1]
        yield b","
        yield memoryview(encode(explained))[1:]
        separator = b","
