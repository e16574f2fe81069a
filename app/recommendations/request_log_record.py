"""Request-log record of a search. It depends only on request and result, so it is cached with the response."""

from typing import Any

import orjson

from app.recommendations.engine import RankedResults
from schemas.api.preferences import Preferences
from schemas.lenient import UNMATCHABLE_ID


def build_log_record(results: RankedResults, preferences: Preferences) -> bytes:
    """Return the record as a JSON object with the names of the log's columns."""
    outcome = {
        "total_candidates": results.total_candidates,
        "primary_count": len(results.primary),
        "relaxed_count": len(results.relaxed),
        "result_trip_ids": [result.document.id for result in results.all],
        "result_scores": [result.score for result in results.all],
    }
    return orjson.dumps(_requested(preferences) | outcome, default=float)


def _requested(preferences: Preferences) -> dict[str, Any]:
    type_id = preferences.preferred_type_id
    return {
        "preferences": preferences.model_dump(exclude_defaults=True),
        "selected_countries": _without_unmatchable(preferences.selected_countries),
        "selected_continents": preferences.selected_continents,
        "preferred_type_id": None if type_id == UNMATCHABLE_ID else type_id,
        "preferred_theme_ids": _without_unmatchable(preferences.preferred_theme_ids),
        "min_duration": preferences.min_duration,
        "max_duration": preferences.max_duration,
        "budget": preferences.budget,
        "difficulty": preferences.difficulty,
        "year": preferences.year,
        "month": preferences.month,
    }


def _without_unmatchable(ids: tuple[int, ...]) -> list[int]:
    return [id_ for id_ in ids if id_ != UNMATCHABLE_ID]
