"""What the log of requests keeps of a search and its answer: the same for all who ask the same."""

from typing import Any

import orjson

from app.recommendations.engine import RankedResults
from schemas.api.preferences import Preferences
from schemas.lenient import UNMATCHABLE_ID


def build_log_record(found: RankedResults, preferences: Preferences) -> bytes:
    """JSON with the names of the log's columns."""
    answered = {
        "total_candidates": found.total_candidates,
        "primary_count": len(found.primary),
        "relaxed_count": len(found.relaxed),
        "result_trip_ids": [result.document.id for result in found.all],
        "result_scores": [result.score for result in found.all],
    }
    return orjson.dumps(_asked_for(preferences) | answered, default=float)


def _asked_for(preferences: Preferences) -> dict[str, Any]:
    type_id = preferences.preferred_type_id
    return {
        "preferences": preferences.model_dump(exclude_defaults=True),
        "selected_countries": _storable(preferences.selected_countries),
        "selected_continents": preferences.selected_continents,
        "preferred_type_id": None if type_id == UNMATCHABLE_ID else type_id,
        "preferred_theme_ids": _storable(preferences.preferred_theme_ids),
        "min_duration": preferences.min_duration,
        "max_duration": preferences.max_duration,
        "budget": preferences.budget,
        "difficulty": preferences.difficulty,
        "year": preferences.year,
        "month": preferences.month,
    }


def _storable(ids: tuple[int, ...]) -> list[int]:
    return [an_id for an_id in ids if an_id != UNMATCHABLE_ID]
